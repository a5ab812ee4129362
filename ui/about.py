"""The texts of the Help menu."""

from __future__ import annotations

from PySide6.QtGui import QKeySequence

from app import VERSION

_KEYS = (
    ("Ctrl+N", "New note"),
    ("Del", "Move the note to the trash, in the list"),
    ("Ctrl+Shift+D", "Move the note to the trash"),
    ("Ctrl+Shift+E", "Restore the note from the trash"),
    ("Return", "From the list to the text"),
    ("Ctrl+1", "Shelves"),
    ("Ctrl+2", "List of notes"),
    ("Ctrl+3", "Text of the note"),
    ("F6", "Next pane"),
    ("Ctrl+Z", "Undo"),
    ("Ctrl++", "Larger text"),
    ("Ctrl+-", "Smaller text"),
    ("F5", "Sync now"),
    ("Ctrl+P", "Pair with a device"),
    ("F9", "Sync status"),
    ("Ctrl+Q", "Quit"),
)


def keys_text() -> str:
    """The keys, as a table."""
    native = QKeySequence.SequenceFormat.NativeText
    rows = "".join(
        f"<tr><td style='white-space:nowrap; padding-right:24px'><b>"
        f"{QKeySequence(key).toString(native)}</b></td>"
        f"<td style='white-space:nowrap'>{words}</td></tr>"
        for key, words in _KEYS
    )
    return f"<table cellspacing='4'>{rows}</table>"


def about_text() -> str:
    """What this program is."""
    return (
        f"<h3>Lim Notes {VERSION}</h3>"
        "<p>Notes on all your computers, at once, without an account.</p>"
        "<p>Every edit is kept on this device first, and merges with what the others did,<br>"
        "character by character. Licence: MIT.</p>"
    )
