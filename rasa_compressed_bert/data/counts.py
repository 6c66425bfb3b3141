"""Singular and plural in messages to the user."""

from __future__ import annotations


def counted(count: int, one: str, many: str) -> str:
    """A number with the singular or plural of what it counts, such as "1 message has" or "2 messages have"."""
    return f"{count} {one if count == 1 else many}"
