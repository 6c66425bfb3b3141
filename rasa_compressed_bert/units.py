"""Units of reported figures."""

MB = 1e6
"""Bytes per megabyte."""
