"""Printing untrusted texts on a terminal, such as names in a trained model."""

from __future__ import annotations

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}


def as_printable(text: str) -> str:
    """The text with control characters escaped, which could move the cursor or change what the terminal shows."""
    return text.translate(_CONTROLS)
