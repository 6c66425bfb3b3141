"""Units of what is reported."""

MB = 1e6
"""Bytes of a megabyte."""
