"""How pairs of wordpieces share the rows of a table."""

PAIR_FACTOR = 31_337
"""A pair of wordpieces `a b` has row `(31337 a + b) mod buckets` of the table of ngrams."""
