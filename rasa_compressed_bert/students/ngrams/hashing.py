"""The hash by which pairs of wordpieces share the rows of a table."""

PAIR_FACTOR = 31_337
"""The pair of wordpieces `a b` has row `(31337 a + b) mod buckets` in the table of the student ngrams."""
