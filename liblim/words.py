"""Words that came from elsewhere, made fit to be shown."""

from __future__ import annotations

ZERO_WIDTH_JOINER = "\u200d"
"""Holds emoji together."""


def on_one_line(text: str) -> str:
    """Words without line ends, controls, and what turns text round; white space is single spaces."""
    shown = (c if c.isprintable() or c == ZERO_WIDTH_JOINER else " " for c in text)
    return " ".join("".join(shown).split())
