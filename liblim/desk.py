"""The desk: the documents that are in use, kept up with the log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from liblim.change import Body, Header
from liblim.document import Document, Effect
from liblim.store import Summary
from liblim.writer import Writer

UNDO_AT_COMMIT = 64 * 1024
"""Bytes up to which what can be undone is saved with each commit; more of it waits for the release."""

Watcher = Callable[[list[Effect]], None]


class Loaded(NamedTuple):
    """A document as the store half read it, having seen the log up to ``position``."""

    document: Document
    position: int
    replayed: int


class Left(NamedTuple):
    """What is saved of a document that nobody uses any more; ``undo`` where it is not saved yet."""

    state: bytes
    position: int
    undo: bytes | None


class _Live:
    """A document in use: how many hold it, the last position it has seen, who watches it."""

    def __init__(self, document: Document, position: int) -> None:
        self.document = document
        self.position = position
        self.users = 1
        self.watchers: list[Watcher] = []
        self.stale = False
        """Whether something before what it has seen can be read only now: it has to be made from the log."""
        self.kept = document.author.edits
        """The author's ``edits`` when what can be undone was last saved."""

    def undo(self, most: int) -> bytes | None:
        """What can be undone, if that is another than was saved, and of ``most`` bytes at most."""
        edits = self.document.author.edits
        if edits == self.kept:
            return None
        history = self.document.encode_history()
        if len(history) > most:
            return None
        self.kept = edits
        return history


class Desk:
    """Documents in use, each one object for all who use it."""

    def __init__(self, writer: Writer) -> None:
        """Begin with none; ``writer`` gathers what is written in them."""
        self._writer = writer
        self._live: dict[str, _Live] = {}
        self._touched: dict[str, int] = {}

    def __contains__(self, oid: str) -> bool:
        """Whether a document is in use."""
        return oid in self._live

    def __bool__(self) -> bool:
        """Whether any is."""
        return bool(self._live)

    def share(self, oid: str) -> Document | None:
        """The document if it is in use already, held once more."""
        live = self._live.get(oid)
        if live is None:
            return None
        live.users += 1
        return live.document

    def register(self, loaded: Loaded) -> Document | None:
        """Take a loaded document into use; ``None`` where it has to be loaded once more.

        That is where a change on it was delivered while it was being loaded.
        """
        document = loaded.document
        if document.oid in self._live:
            return self.share(document.oid)
        if self._touched.get(document.oid, 0) > loaded.position:
            return None
        document.author.begin = lambda: self._writer.begin(document)
        self._live[document.oid] = _Live(document, loaded.position)
        return document

    def watch(self, oid: str, watcher: Watcher) -> Callable[[], None]:
        """Call ``watcher`` with what received changes did to a document in use.

        Returns what ends it.
        """
        watchers = self._live[oid].watchers
        watchers.append(watcher)
        return lambda: watchers.remove(watcher)

    def let_go(self, document: Document) -> Left | None:
        """Release in memory; returns what to save of it, if that was the last."""
        live = self._live.get(document.oid)
        if live is None:
            return None
        live.users -= 1
        if live.users or not self._writer.is_saved(document.oid):
            return None
        del self._live[document.oid]
        if live.stale:
            return None  # the log has it better
        return Left(document.encode(), live.position, live.undo(sys.maxsize))

    def sweep(self) -> None:
        """Forget documents that nobody uses and that could not be saved when they were let go of."""
        for oid, live in list(self._live.items()):
            if live.users <= 0 and self._writer.is_saved(oid):
                del self._live[oid]

    def deliver(self, position: int, header: Header, body: Body, foreign: bool) -> list[Effect]:
        """Take a committed change into its document, if that is in use; returns what it did.

        One that is not ``foreign`` was written in the document itself.
        """
        self._touched[body.oid] = position
        live = self._live.get(body.oid)
        if live is None:
            return []
        live.position = position
        if not foreign or body.kind != live.document.kind:
            return []
        return live.document.apply(header.clock, header.replica, body.ops, header.end)

    def outdate(self, oid: str, position: int) -> None:
        """Take note that something on a document can be read only now, in whatever order it came."""
        self._touched[oid] = position
        live = self._live.get(oid)
        if live is not None:
            live.stale = True

    def is_stale(self, oid: str) -> bool:
        """Whether a document in use has to be made from the log."""
        live = self._live.get(oid)
        return live is not None and live.stale

    def renew(self, made: Loaded, own: Iterable[tuple[Header, Body]]) -> list[Effect]:
        """Let a document in use become what was made of the log, with ``own`` changes that are not in it."""
        live = self._live.get(made.document.oid)
        if live is None or not live.stale or live.document.kind != made.document.kind:
            return []
        if self._touched.get(made.document.oid, 0) > made.position:
            return []  # it has seen more since; what brought that makes it once more
        live.stale, live.position = False, made.position
        return live.document.renew(made.document, own)

    def tell(self, oid: str, effects: list[Effect]) -> None:
        """Let those who watch a document know what was done to it."""
        live = self._live.get(oid)
        for watcher in list(live.watchers) if live else ():
            watcher(effects)

    def summary(self, oid: str) -> Summary:
        """The summary of a document in use; of another, the store half has to make it."""
        live = self._live.get(oid)
        if live is None or live.stale:
            return Summary(oid, None, 0, False)
        # What is not committed yet may stand in it: then it counts as behind, should we crash now.
        saved = self._writer.is_saved(oid)
        undo = live.undo(UNDO_AT_COMMIT) if saved else None
        text = msgspec.json.encode(live.document.summary()).decode()
        return Summary(oid, text, live.position - (not saved), live.document.newer, undo)
