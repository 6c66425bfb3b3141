"""Numbers of things in sentences."""

from __future__ import annotations


def counted(count: int, one: str, many: str) -> str:
    """A number and what there are so many of, verb included: "1 message has", "2 messages have"."""
    return f"{count} {one if count == 1 else many}"
