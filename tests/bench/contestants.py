"""The CRDTs that the benchmark sets side by side, each behind the same few calls."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Protocol

import msgspec

Patch = tuple[int, int, str]
"""Position, number of deleted characters, inserted characters; code points."""

EVERY = 20
"""Operations of what is typed here are taken after so many edits."""


class Contestant(Protocol):
    """One CRDT.  A document is whatever it calls one; ``peer`` is a small number that names its author."""

    version: str
    glance: Callable[[bytes], str] | None
    """The text of a state, without what it takes to edit it, where there is such a way."""

    def new(self, peer: int) -> Any:
        """An empty document with a text."""

    def type(self, doc: Any, patches: list[Patch]) -> None:
        """Do the edits, each with a call, and what makes each one an operation to send."""

    def edit(self, doc: Any, patches: list[Patch]) -> None:
        """Do the edits of one transaction."""

    def tracked(self, doc: Any) -> Callable[[], bytes]:
        """What gives, after a transaction, the bytes to send for it."""

    def watch(self, doc: Any) -> object:
        """Learn, while what this returns is kept, at each change what an editor must show."""

    def apply(self, doc: Any, message: bytes) -> None:
        """Take in what another sent."""

    def text(self, doc: Any) -> str:
        """What it reads."""

    def save(self, doc: Any) -> bytes:
        """Its state."""

    def load(self, blob: bytes) -> Any:
        """The document of a state, ready to edit: a character is typed in the middle to prove it."""


class Lim:
    """This project."""

    def __init__(self) -> None:
        import liblim.crdt.rga
        from liblim.crdt import Text

        self._text = Text
        self.glance: Callable[[bytes], str] | None = Text.glance
        module = liblim.crdt.rga.__file__ or ""
        self.version = "plain" if module.endswith(".py") else "compiled"

    def new(self, peer: int) -> Any:
        return self._text.new(f"peer{peer}")

    def edit(self, doc: Any, patches: list[Patch]) -> None:
        for pos, deleted, inserted in patches:
            doc.delete(pos, deleted)
            doc.insert(pos, inserted)

    def watch(self, doc: Any) -> object:
        return None  # apply() returns it anyway

    def type(self, doc: Any, patches: list[Patch]) -> None:
        insert, delete = doc.insert, doc.delete
        encode, count = msgspec.json.encode, 0
        for pos, deleted, inserted in patches:
            if deleted:
                delete(pos, deleted)
            if inserted:
                insert(pos, inserted)
            count += 1
            if count == EVERY:
                encode(doc.take_ops())
                count = 0
        encode(doc.take_ops())

    def tracked(self, doc: Any) -> Callable[[], bytes]:
        return lambda: msgspec.json.encode(doc.take_ops())

    def apply(self, doc: Any, message: bytes) -> None:
        doc.apply(msgspec.json.decode(message))

    def text(self, doc: Any) -> str:
        return str(doc)

    def save(self, doc: Any) -> bytes:
        blob: bytes = doc.encode()
        return blob

    def load(self, blob: bytes) -> Any:
        doc = self._text.decode(blob, "reader")
        doc.insert(len(doc) // 2, "x")
        return doc


class Loro:
    """Loro, in Rust."""

    def __init__(self) -> None:
        import loro

        self._loro = loro
        self.glance: Callable[[bytes], str] | None = None
        self._snapshot = loro.ExportMode.Snapshot()
        self.version = version("loro")

    def new(self, peer: int) -> Any:
        doc = self._loro.LoroDoc()
        doc.peer_id = peer + 1
        return doc

    def type(self, doc: Any, patches: list[Patch]) -> None:
        text, commit = doc.get_text("text"), doc.commit
        insert, delete = text.insert, text.delete
        for pos, deleted, inserted in patches:
            if deleted:
                delete(pos, deleted)
            if inserted:
                insert(pos, inserted)
            commit()

    edit = type

    def watch(self, doc: Any) -> object:
        return doc.get_text("text").subscribe(lambda event: event.events[0].diff)

    def tracked(self, doc: Any) -> Callable[[], bytes]:
        seen = doc.oplog_vv

        def take() -> bytes:
            nonlocal seen
            blob: bytes = doc.export(self._loro.ExportMode.Updates(seen))
            seen = doc.oplog_vv
            return blob

        return take

    def apply(self, doc: Any, message: bytes) -> None:
        doc.import_(message)

    def text(self, doc: Any) -> str:
        return str(doc.get_text("text").to_string())

    def save(self, doc: Any) -> bytes:
        blob: bytes = doc.export(self._snapshot)
        return blob

    def load(self, blob: bytes) -> Any:
        doc = self._loro.LoroDoc()
        doc.import_(blob)
        text = doc.get_text("text")
        text.insert(text.len_unicode // 2, "x")
        return doc


class Pycrdt:
    """Yrs, in Rust, by way of pycrdt."""

    def __init__(self) -> None:
        import pycrdt

        self._pycrdt = pycrdt
        self.glance: Callable[[bytes], str] | None = None
        self.version = version("pycrdt")

    def new(self, peer: int) -> Any:
        doc = self._pycrdt.Doc(client_id=peer + 1)
        doc["text"] = self._pycrdt.Text()
        return doc

    def type(self, doc: Any, patches: list[Patch]) -> None:
        # Positions are octets of UTF-8, which makes no difference for ASCII.
        text, transaction = doc["text"], doc.transaction
        for pos, deleted, inserted in patches:
            with transaction():
                if deleted:
                    del text[pos : pos + deleted]
                if inserted:
                    text.insert(pos, inserted)

    edit = type

    def watch(self, doc: Any) -> object:
        return doc["text"].observe(lambda event: event.delta)

    def tracked(self, doc: Any) -> Callable[[], bytes]:
        updates: list[bytes] = []
        keep = doc.observe(lambda event: updates.append(event.update))

        def take() -> bytes:
            assert keep is not None
            update = updates[-1]
            updates.clear()
            return update

        return take

    def apply(self, doc: Any, message: bytes) -> None:
        doc.apply_update(message)

    def text(self, doc: Any) -> str:
        return str(doc["text"])

    def save(self, doc: Any) -> bytes:
        blob: bytes = doc.get_update()
        return blob

    def load(self, blob: bytes) -> Any:
        doc = self.new(9)
        doc.apply_update(blob)
        text = doc["text"]
        text.insert(len(text) // 2, "x")
        return doc


CONTESTANTS: dict[str, Callable[[], Contestant]] = {"lim": Lim, "loro": Loro, "pycrdt": Pycrdt}
