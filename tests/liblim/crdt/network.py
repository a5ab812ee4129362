"""Peers that edit one text and send each other their operations, driven by chance."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec

from liblim.crdt import Author, Splice, Text, width
from tests.oracle import NaiveRga

ALPHABETS = ("abc", "xyz \n", "aä漢🙂", "e\u0301\u200d👩👧", "\0\t\u00a0\r\n", "שלום مرحبا")


def spliced(text: str, splices: Sequence[Splice]) -> str:
    """A plain string after these splices."""
    for pos, removed, inserted in splices:
        assert 0 <= pos <= pos + removed <= len(text)
        text = text[:pos] + inserted + text[pos + removed :]
    return text


class Batch:
    """Operations taken at one time, and how many batches of each peer their author had seen."""

    def __init__(self, author: int, seen: list[int], ops: list[list[Any]]) -> None:
        self.author = author
        self.seen = seen
        self.ops = ops


class Peer:
    """A text as in a document: counters have gaps, and the replica id changes now and then."""

    def __init__(self, number: int, peers: int, rng: Random) -> None:
        self.number = number
        self.rng = rng
        self.clock = 0
        self.runs = 0
        self.seen = [0] * peers
        self.author = Author(self._replica(), begin=self._begin)
        self.text = Text().bind("body", self.author)
        self.oracle = NaiveRga()
        self.shadow = ""

    def _replica(self) -> str:
        return f"{self.number}{self.runs}"

    def _begin(self) -> None:
        if self.rng.random() < 0.1:
            self.runs += 1
        self.author.replica = self._replica()
        self.author.counter = self.clock + 1 + (self.rng.random() < 0.2) * self.rng.randrange(5)

    def edit(self) -> None:
        """Type, delete or replace something, often where the last edit was."""
        rng, length = self.rng, len(self.shadow)
        pos = min(length, max(0, rng.choice([rng.randrange(length + 1), 3, length, length - 1])))
        removed = rng.choice([0, 0, 0, 1, 1, 2, 5, rng.randrange(length + 1)])
        removed = min(removed, length - pos)
        inserted = "".join(rng.choices(rng.choice(ALPHABETS), k=rng.choice([0, 1, 1, 1, 2, 4])))
        self.text.replace(pos, removed, inserted)
        self.shadow = spliced(self.shadow, [Splice(pos, removed, inserted)])

    def type_on(self) -> None:
        """Type forward or delete backward, one character a time, as people do."""
        pos = self.rng.randrange(len(self.shadow) + 1)
        for _ in range(self.rng.randrange(1, 6)):
            if self.rng.random() < 0.7 or not pos:
                self.text.insert(pos, "t")
                self.shadow = spliced(self.shadow, [Splice(pos, 0, "t")])
                pos += 1
            else:
                pos -= 1
                self.text.delete(pos, 1)
                self.shadow = spliced(self.shadow, [Splice(pos, 1, "")])

    def undo(self) -> None:
        """Undo or redo, several times."""
        for _ in range(self.rng.randrange(1, 5)):
            step = self.rng.choice([self.text.undo, self.text.undo, self.text.redo])
            self.shadow = spliced(self.shadow, step())

    def reload(self) -> None:
        """Go on with the text that the encoded state makes."""
        blob = self.text.encode()
        version = self.text.version
        self.text = Text().bind("body", self.author)
        self.text.load(blob)
        assert self.text.version == version
        assert self.text.encode() == blob

    def take(self) -> Batch | None:
        """The operations since the last take, as they come out of JSON."""
        free = [[counter, self.author.replica, *op] for counter, _, op in self.author.take()]
        if not free:
            return None
        self.clock = self.author.counter - 1
        ops = msgspec.json.decode(msgspec.json.encode(free))
        self.oracle.apply(ops)
        batch = Batch(self.number, list(self.seen), ops)
        self.seen[self.number] += 1
        return batch

    def receive(self, batch: Batch) -> None:
        """Apply what another peer did."""
        alone = self.rng.random() < 0.5  # as operations that stand free, or as those of a change
        for counter, replica, *op in batch.ops:
            if alone:
                splices = self.text.apply([[counter, replica, *op]])
            else:
                splices = self.text.apply_op(counter, replica, op)
            self.shadow = spliced(self.shadow, splices)
            self.clock = max(self.clock, counter + width(op) - 1)
        self.oracle.apply(batch.ops)
        self.seen[batch.author] += 1

    def check(self) -> None:
        """Compare text, shadow and, where all operations are taken, the oracle."""
        self.text.check_invariants()
        assert str(self.text) == self.shadow
        assert len(self.text) == len(self.shadow)


class Network:
    """Some peers, and all batches that they sent, which arrive in any causal order."""

    def __init__(self, peers: int, rng: Random) -> None:
        self.rng = rng
        self.peers = [Peer(number, peers, rng) for number in range(peers)]
        self.sent: list[list[Batch]] = [[] for _ in range(peers)]

    def run(self, steps: int) -> None:
        """Do so many things by chance, then let everything arrive, and compare."""
        for _ in range(steps):
            self.step()
        for peer in self.peers:
            self.send(peer)
        for peer in self.peers:
            while self.deliver(peer):
                pass
            self.compare(peer)
        first = self.peers[0].text
        for peer in self.peers[1:]:
            assert list(peer.text.elements()) == list(first.elements())
            assert peer.text.encode() == first.encode()

    def step(self) -> None:
        """One thing at one peer."""
        peer = self.rng.choice(self.peers)
        acts = [peer.edit, peer.type_on, peer.undo, peer.text.end_group]
        kind = self.rng.random()
        if kind < 0.5:
            self.rng.choices(acts, [4, 4, 2, 1])[0]()
        else:
            self.send(peer)
            if kind < 0.85:
                self.deliver(peer)
            elif kind < 0.95:
                self.repeat(peer)
            else:
                peer.reload()
            self.compare(peer)
        peer.check()

    def send(self, peer: Peer) -> None:
        """Put what the peer did on its way."""
        batch = peer.take()
        if batch is not None:
            self.sent[peer.number].append(batch)

    def deliver(self, peer: Peer) -> bool:
        """Let one batch arrive whose causal past is there; return whether there was one."""
        ready = []
        for author, batches in enumerate(self.sent):
            if peer.seen[author] < len(batches):
                batch = batches[peer.seen[author]]
                if all(have >= need for have, need in zip(peer.seen, batch.seen, strict=True)):
                    ready.append(batch)
        if ready:
            peer.receive(self.rng.choice(ready))
        return bool(ready)

    def repeat(self, peer: Peer) -> None:
        """Let something arrive again."""
        author = self.rng.randrange(len(self.peers))
        if peer.seen[author]:
            batch = self.sent[author][self.rng.randrange(peer.seen[author])]
            for counter, replica, *op in batch.ops:
                assert peer.text.apply_op(counter, replica, op) == []

    def compare(self, peer: Peer) -> None:
        """Compare with the oracle, element by element."""
        assert list(peer.text.elements()) == peer.oracle.rows()
        assert [row[:2] for row in peer.oracle.rows()] == peer.oracle.tree_order()
