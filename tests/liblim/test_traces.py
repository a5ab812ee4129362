"""Recorded editing of real people, replayed to its end."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from liblim.crdt import Splice, Text, undo
from tests.liblim.crdt.network import spliced


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


class Sent(NamedTuple):
    """A transaction's operations, and how many transactions of either author are in its past."""

    agent: int
    past: tuple[int, ...]
    ops: list[list[Any]]


def exchange(trace: Any) -> tuple[list[Text], list[Sent]]:
    """One text for each author, which hears of the others' transactions as ``parents`` say."""
    texts = [Text.new(f"author {k}") for k in range(trace["numAgents"])]
    shown = ["" for _ in texts]
    own: list[list[Sent]] = [[] for _ in texts]
    sent: list[Sent] = []
    heard = [[0 for _ in texts] for _ in texts]
    for txn in trace["txns"]:
        me = txn["agent"]
        known = [heard[me], *(seen(sent[parent]) for parent in txn["parents"])]
        past = [max(column) for column in zip(*known, strict=True)]
        for k, first in enumerate(heard[me]):
            for one in own[k][first : past[k]] if k != me else ():
                shown[me] = spliced(shown[me], texts[me].apply(one.ops))
        heard[me] = past
        for pos, deleted, inserted in txn["patches"]:
            texts[me].replace(pos, deleted, inserted)
            shown[me] = spliced(shown[me], [Splice(pos, deleted, inserted)])
        sent.append(Sent(me, tuple(past), texts[me].take_ops()))
        own[me].append(sent[-1])
        past[me] += 1
    for me, text in enumerate(texts):
        for k, first in enumerate(heard[me]):
            for one in own[k][first:] if k != me else ():
                shown[me] = spliced(shown[me], text.apply(one.ops))
    assert shown == [str(text) for text in texts]
    return texts, sent


def seen(sent: Sent) -> list[int]:
    """What somebody has seen who has seen this transaction and its past."""
    return [count + (k == sent.agent) for k, count in enumerate(sent.past)]


def favouring(sent: list[Sent], agent: int) -> Iterator[Sent]:
    """The same transactions in the causal order in which this author's come as early as they can."""
    queues = [[one for one in sent if one.agent == k] for k in range(len(sent[0].past))]
    have = [0 for _ in queues]
    order = sorted(range(len(queues)), key=lambda k: k != agent)
    while True:
        for k in order:
            if have[k] < len(queues[k]):
                one = queues[k][have[k]]
                if all(a >= b for a, b in zip(have, one.past, strict=True)):
                    break
        else:
            assert sum(have) == len(sent)
            return
        have[k] += 1
        yield one


def test_two_authors_at_once(traces: Path) -> None:
    trace = read(traces, "friendsforever_concurrent")
    texts, sent = exchange(trace)
    for agent in range(trace["numAgents"]):
        reader = Text.new("reader")
        for number, one in enumerate(favouring(sent, agent)):
            reader.apply(one.ops)
            if number % 5000 == 0:
                reader = Text.decode(reader.encode(), "reader")
        texts.append(reader)
    for text in texts:
        assert str(text) == trace["endContent"]
        text.check_invariants()
        assert text.encode() == texts[0].encode()


def test_one_author_undoes_all_and_does_it_again(traces: Path) -> None:
    trace = read(traces, "sveltecomponent")
    text, follower = Text.new("author"), Text.new("follower")
    groups = undo.MOST_GROUPS // 2
    for txn in trace["txns"][:-groups]:
        play(text, txn["patches"])
    before = str(text)
    text.load_history(b"")
    for txn in trace["txns"][-groups:]:
        play(text, txn["patches"])
    shown = str(text)
    for step, end in ((text.undo, before), (text.redo, trace["endContent"])):
        while splices := step():
            shown = spliced(shown, splices)
        assert str(text) == shown == end
    follower.apply(text.take_ops())
    assert list(follower.elements()) == list(text.elements())
