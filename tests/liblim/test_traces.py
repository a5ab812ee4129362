"""Recorded editing of real people, replayed to its end."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest

from liblim.crdt import Text


def read(folder: Path, name: str) -> Any:
    """A trace."""
    return msgspec.json.decode(gzip.decompress((folder / f"{name}.json.gz").read_bytes()))


def play(text: Text, patches: list[list[Any]]) -> None:
    """Do the edits of one transaction."""
    for pos, deleted, inserted in patches:
        if deleted:
            text.delete(pos, deleted)
        if inserted:
            text.insert(pos, inserted)


@pytest.mark.parametrize("name", ["sveltecomponent", "automerge-paper"])
def test_one_author(traces: Path, name: str) -> None:
    trace = read(traces, name)
    text, follower = Text.new("author"), Text.new("follower")
    for k, txn in enumerate(trace["txns"]):
        play(text, txn["patches"])
        if k % 20 == 0:
            follower.apply(text.take_ops())
    follower.apply(text.take_ops())
    for each in (text, follower, Text.decode(text.encode(), "reader")):
        assert str(each) == trace["endContent"]
        each.check_invariants()
    assert follower.encode() == text.encode()


def test_two_authors_at_once(traces: Path) -> None:
    trace = read(traces, "friendsforever_concurrent")
    texts = [Text.new("a"), Text.new("b")]
    watcher = Text.new("watcher")
    sent: list[list[Any]] = [[], []]
    seen: list[list[int]] = []  # for each transaction, how many of either author are in its past
    at = [[0, 0], [0, 0]]
    for txn in trace["txns"]:
        me = txn["agent"]
        past = [max((seen[parent][k] for parent in txn["parents"]), default=0) for k in (0, 1)]
        for ops in sent[1 - me][at[me][1 - me] : past[1 - me]]:
            texts[me].apply(ops)
        play(texts[me], txn["patches"])
        ops = texts[me].take_ops()
        watcher.apply(ops)
        sent[me].append(ops)
        past[me] += 1
        at[me] = past
        seen.append(past)
    for me, text in enumerate(texts):
        for ops in sent[1 - me][at[me][1 - me] :]:
            text.apply(ops)
    for text in (*texts, watcher):
        assert str(text) == trace["endContent"]
        text.check_invariants()
        assert text.encode() == watcher.encode()
