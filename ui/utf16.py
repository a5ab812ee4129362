"""Qt counts UTF-16 units, Python counts code points: the mapping between the two.

``Utf16Text`` is the *shadow* that a binding compares its document with.  It is kept in chunks, so
that one keystroke in a text of 5 MB copies a few thousand characters and not all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

CHUNK = 8192
"""Characters in a full chunk: small enough to copy and count in microseconds."""


def units(text: str) -> int:
    """Return how many UTF-16 units the text takes.  A lone surrogate counts as one."""
    if text.isascii():
        return len(text)
    return len(_encode(text)) // 2


def chars(text: str, unit: int) -> int:
    """Return the index of the character that the given UTF-16 unit of the text belongs to.

    A unit inside a surrogate pair belongs to the pair; one at or past the end gives ``len(text)``.
    """
    if text.isascii():
        return min(unit, len(text))
    return len(_encode(text)[: 2 * unit].decode("utf-16-le", "ignore"))


def _encode(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


class Utf16Text:
    """A mutable text that knows its length, and every position, in both measures.

    A step costs time in the number of chunks (about 600 for 5 MB), not in the number of characters.
    """

    def __init__(self, text: str = "") -> None:
        self._texts: list[str] = []
        self._units: list[int] = []
        self._fill(0, 0, text)

    def __len__(self) -> int:
        return sum(map(len, self._texts))

    def __str__(self) -> str:
        return "".join(self._texts)

    @property
    def units(self) -> int:
        """The length of the whole text in UTF-16 units."""
        return sum(self._units)

    def to_units(self, position: int) -> int:
        """Turn a position in code points into one in UTF-16 units; past the end gives the end."""
        before = 0
        for text, size in zip(self._texts, self._units, strict=True):
            if position < len(text):
                plain = size == len(text)
                return before + (position if plain else units(text[:position]))
            position -= len(text)
            before += size
        return before

    def to_chars(self, unit: int) -> int:
        """Turn a position in UTF-16 units into one in code points.

        Inside a surrogate pair it is rounded down; past the end it gives the end.
        """
        before = 0
        for text, size in zip(self._texts, self._units, strict=True):
            if unit < size:
                plain = size == len(text)
                return before + (unit if plain else chars(text, unit))
            unit -= size
            before += len(text)
        return before

    def slice(self, start: int, end: int) -> str:
        """Return the characters from ``start`` up to ``end``, in code points."""
        return "".join(self._pieces(start, end))

    def replace(self, start: int, removed: int, inserted: str) -> None:
        """Replace ``removed`` characters at ``start``, in code points, by others."""
        first, offset = self._find(start)
        last, end = self._find(start + removed)
        head = self._texts[first][:offset] if self._texts else ""
        tail = self._texts[last][end:] if self._texts else ""
        self._fill(first, last + 1, head + inserted + tail)

    def _pieces(self, start: int, end: int) -> Iterator[str]:
        for text in self._texts:
            if end <= 0:
                return
            if start < len(text):
                yield text[max(start, 0) : end]
            start -= len(text)
            end -= len(text)

    def _find(self, position: int) -> tuple[int, int]:
        """Return the chunk that holds a position, and the offset in it; the end is in the last."""
        for index, text in enumerate(self._texts):
            if position < len(text):
                return index, position
            position -= len(text)
        last = max(len(self._texts) - 1, 0)
        return last, len(self._texts[last]) if self._texts else 0

    def _fill(self, first: int, last: int, text: str) -> None:
        """Put a text in the place of some chunks: in one chunk if it fits, and none too small."""
        if len(text) < CHUNK // 2 and last < len(self._texts):
            text += self._texts[last]
            last += 1
        step = len(text) if len(text) <= 2 * CHUNK else CHUNK
        texts = [text[at : at + step] for at in range(0, len(text), step or 1)]
        self._texts[first:last] = texts
        self._units[first:last] = map(units, texts)
