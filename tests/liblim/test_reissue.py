"""Issuing again what was set aside: said once more where it belongs, once, by whoever asks first."""

from __future__ import annotations

import random
from typing import Any

import pytest

from liblim.aio import AsyncDatabase
from liblim.change import Body, Range, pack_body
from liblim.crdt import Text
from liblim.database import Database
from liblim.document import Document
from liblim.errors import StoreError
from liblim.reissue import Issued
from tests.liblim.changes import OID, make
from tests.liblim.store.powercut import everything
from tests.liblim.things import Thing, memory, pull


class Fork:
    """A device, and a copy of it that went on from the same moment: both write as one replica.

    ``desk`` has the branch of ``first``, and sets aside what ``second`` writes.
    """

    def __init__(self, text: str = "Buy milk, eggs") -> None:
        self.desk = memory(1)
        thing = self.desk.create(Thing)
        thing.body.insert(0, text)
        thing.place.set("here")
        self.desk.commit()
        self.oid = thing.oid
        self.first, self.second = memory(7), memory(7)
        for one in (self.first, self.second):
            pull(one, self.desk)
            self.thing(one).body.insert(0, ">")
            one.commit()
        pull(self.desk, self.first)
        assert self.second.digest == self.desk.digest

    def thing(self, database: Database) -> Thing:
        return database.get(Thing, self.oid)

    def text(self, database: Database) -> str:
        return str(self.thing(database).body)

    def part(self) -> None:
        """The first writes something, which the desk gets."""
        self.first.create(Thing, "e" * 32).body.insert(0, "elsewhere")
        self.first.commit()
        pull(self.desk, self.first)

    def bring(self, *to: Database) -> None:
        """Give what the second wrote to others, who set it aside."""
        self.second.commit()
        for database in to or (self.desk,):
            outcome = database.receive(everything(self.second))
            assert outcome.refused is None


def append(thing: Thing, text: str) -> None:
    thing.body.insert(len(thing.body), text)


def test_all_that_was_set_aside_is_said_again() -> None:
    fork = Fork()
    fork.part()
    thing = fork.thing(fork.second)
    append(thing, ", butter")
    thing.body.delete(thing.body.slice(0, len(thing.body)).index("milk"), len("milk, "))
    thing.tags.add("shop")
    thing.tags.add("gone")
    thing.tags.discard("gone")
    thing.pinned.enable()
    thing.place.set("kitchen")
    other = fork.second.create(Thing)
    other.body.insert(0, "a new one")
    fork.bring()
    assert fork.text(fork.desk) == ">Buy milk, eggs"
    found = fork.desk.aside()
    assert {one.oid for one in found} == {fork.oid, other.oid}
    assert {(one.device, one.replica) for one in found} == {
        (fork.second.device, change.replica)
        for change in everything(fork.second)
        if change.hash in {one.hash for one in found}
    }
    assert all(one.reason and one.at and one.seq > 1 for one in found)

    assert fork.desk.issue_again() == len(found)
    mine = fork.thing(fork.desk)
    assert str(mine.body) == ">Buy eggs, butter"
    assert (list(mine.tags), bool(mine.pinned), mine.place.value) == (["shop"], True, "kitchen")
    assert str(fork.desk.get(Thing, other.oid).body) == "a new one"
    assert fork.desk.aside() == []
    assert fork.desk.issue_again() == 0
    assert len(fork.desk.store.aside()) == len(found), "they are kept all the same"
    assert not any(entry.kind == Issued.kind for entry in fork.desk.entries())


def test_who_knows_that_it_was_done_does_not_do_it_again() -> None:
    fork = Fork()
    fork.part()
    friend = memory(3)
    pull(friend, fork.desk)
    append(fork.thing(fork.second), ", butter")
    fork.bring(fork.desk, friend)
    assert len(friend.aside()) == 1
    assert fork.desk.issue_again() == 1
    pull(friend, fork.desk)
    assert friend.aside() == []
    assert friend.issue_again() == 0
    assert friend.digest == fork.desk.digest
    assert fork.text(friend) == ">Buy milk, eggs, butter"


def test_what_is_typed_beside_it_stays() -> None:
    fork = Fork()
    fork.part()
    append(fork.thing(fork.second), ", butter")
    fork.bring()
    append(fork.thing(fork.desk), " today")
    fork.desk.commit()
    seen: list[Any] = []
    fork.desk.desk.watch(fork.oid, seen.extend)
    fork.desk.issue_again()
    assert fork.text(fork.desk) == ">Buy milk, eggs, butter today"
    assert [effect.result[0] for effect in seen] == [(15, 0, ", butter")]


def test_what_goes_on_goes_on_in_its_place() -> None:
    """After one issue the branch goes on in the middle of what was issued; a restart lies between."""
    fork = Fork("")
    fork.part()
    thing = fork.thing(fork.second)
    append(thing, "one three")
    thing.tags.add("t")
    fork.bring()
    fork.desk.issue_again()
    append(fork.thing(fork.desk), " four")
    fork.desk.commit()
    thing.body.insert(len(">one"), " two")
    thing.body.delete(0, 1)
    thing.body.delete(0, 1)
    thing.tags.discard("t")
    fork.bring()
    assert fork.desk.issue_again() == 1
    assert fork.text(fork.desk) == "ne two three four"
    assert list(fork.thing(fork.desk).tags) == []


def test_two_sides_that_part_both_get_everything_once() -> None:
    """Neither can take what the other writes from then on; each says it again, and not for ever."""
    fork = Fork("")
    left, right = fork.desk, fork.second
    append(fork.thing(fork.first), "left ")
    fork.first.commit()
    pull(left, fork.first)
    append(fork.thing(right), "right ")
    for _ in range(3):
        for one, other in ((left, right), (right, left)):
            one.commit()
            other.receive(everything(one))
            other.issue_again()
    for side in (left, right):
        assert sorted(fork.text(side).strip(">").split()) == ["left", "right"]
        assert side.aside() == []


def test_two_who_issue_at_once_write_it_twice() -> None:
    """As said in the module: this cannot be told before they have synced."""
    fork = Fork("")
    fork.part()
    friend = memory(3)
    pull(friend, fork.desk)
    append(fork.thing(fork.second), "x")
    fork.bring(fork.desk, friend)
    for one in (fork.desk, friend):
        assert one.issue_again() == 1
    pull(friend, fork.desk)
    pull(fork.desk, friend)
    assert fork.text(friend) == fork.text(fork.desk) == ">xx"
    assert friend.aside() == fork.desk.aside() == []


def test_what_this_version_does_not_know_is_left_for_one_that_does() -> None:

    class Later(Document):
        """As a later version of the program has it."""

        kind = "thing"
        body = Text()
        notes = Text()

    fork = Fork("")
    fork.part()
    fork.second._types["thing"] = Later
    later = fork.second.create(Later)
    later.notes.insert(0, "for later")
    fork.second.commit()
    fork.bring()
    assert [one.oid for one in fork.desk.aside()] == [later.oid]
    assert fork.desk.issue_again() == 0
    assert [one.oid for one in fork.desk.aside()] == [later.oid]
    for types in (fork.desk._types, fork.desk.reissue._types):
        types["thing"] = Later  # type: ignore[index]
    assert fork.desk.issue_again() == 1
    assert str(fork.desk.get(Later, later.oid).notes) == "for later"


def edit(rng: random.Random, thing: Thing) -> None:
    """Some edit of any kind."""
    body = thing.body
    match rng.randrange(8):
        case 0 | 1 | 2 | 3:
            body.insert(rng.randint(0, len(body)), rng.choice(("a", "few words ", "日本", "😀")))
        case 4 | 5 if len(body):
            at = rng.randrange(len(body))
            body.delete(at, min(rng.randint(1, 6), len(body) - at))
        case 6:
            rng.choice((thing.tags.add, thing.tags.discard))(rng.randrange(3))
        case 7:
            rng.choice((thing.pinned.enable, thing.pinned.disable))()
            thing.place.set(rng.choice("xyz"))


def test_a_document_that_only_the_branch_wrote_in_is_as_there(seed: int) -> None:
    """Whatever was written, and however often it was issued on the way."""
    for case in range(40):
        rng = random.Random(seed + case)
        fork = Fork("some words to begin with")
        fork.part()
        theirs = fork.thing(fork.second)
        for _ in range(rng.randint(1, 40)):
            edit(rng, theirs)
            if rng.random() < 0.3:
                fork.second.commit()
            if rng.random() < 0.15:
                fork.bring()
                fork.desk.issue_again()
        fork.bring()
        fork.desk.issue_again()
        mine = fork.thing(fork.desk)
        assert str(mine.body) == str(theirs.body), f"case {seed + case}"
        assert list(mine.tags) == list(theirs.tags)
        assert bool(mine.pinned) == bool(theirs.pinned)
        assert mine.place.value == theirs.place.value
        fresh = memory(9)
        pull(fresh, fork.desk)
        assert str(fresh.get(Thing, fork.oid).body) == str(mine.body)
        assert fork.desk.aside() == []


@pytest.mark.asyncio
async def test_a_disk_that_fails_meanwhile_doubles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fork = Fork("")
    fork.part()
    append(fork.thing(fork.second), "once")
    fork.second.commit()
    database = await AsyncDatabase.open(":memory:", [Thing])
    await database.receive(everything(fork.desk))
    await database.receive(everything(fork.second))
    assert [one.oid for one in await database.aside()] == [fork.oid]

    def full(*_: object) -> None:
        raise StoreError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(database.core.store, "append", full)
        for _ in range(2):
            with pytest.raises(StoreError):
                await database.issue_again()
    assert await database.issue_again() == 0, "what was written is committed first"
    assert await database.aside() == []
    thing = await database.get(Thing, fork.oid)
    assert str(thing.body) == ">once"
    ranges = [Range(replica, 1, head.seq) for replica, head in database.heads.items()]
    copy = await AsyncDatabase.open(":memory:", [Thing])
    await copy.receive(await database.read(ranges, 10**6, 10**9))
    assert str((await copy.get(Thing, fork.oid)).body) == ">once"
    await copy.close()
    await database.close()


def test_a_running_machine_that_was_copied() -> None:
    """Two processes write as one replica: who is idle gives way, and who is not keeps what is typed."""
    fork = Fork("")
    idle = fork.second
    append(fork.thing(fork.first), "first")
    fork.first.commit()
    assert idle.receive(everything(fork.first)).aside == ()
    append(fork.thing(idle), ", second")
    idle.commit()
    pull(fork.first, idle)
    assert fork.text(fork.first) == ">first, second"
    assert idle.digest == fork.first.digest

    fork = Fork("")
    typing = fork.second
    append(fork.thing(typing), "typed")
    append(fork.thing(fork.first), "first")
    fork.first.commit()
    outcome = typing.receive(everything(fork.first))
    assert len(outcome.aside) == 1
    typing.commit()
    assert typing.idle
    assert fork.text(typing) == ">typed"
    assert typing.issue_again() == 1
    assert fork.text(typing) in (">typedfirst", ">firsttyped")
    fresh = memory(9)
    pull(fresh, typing)
    assert fork.text(fresh) == fork.text(typing)


def test_one_document_is_of_one_kind() -> None:
    """As its first change says; what says otherwise stays listed."""

    class Other(Document):
        kind = "other"
        words = Text()

    database = Database(":memory:", [Thing, Other])
    first = make("a")
    rival = make("a", ops=[["body", "+", 0, "thing"]], oid="2" * 32, n=5)
    words = pack_body(Body("2" * 32, "other", [["words", "+", 0, "other"]]))
    database.receive([first, rival, make("a", rival, body=words, n=5)])
    assert len(database.aside()) == 2
    assert database.issue_again() == 1
    assert str(database.get(Thing, "2" * 32).body) == "thing"
    assert len(database.aside()) == 1


NONSENSE: list[list[Any]] = [
    ["body", "+", [1], "x"],
    ["body", "+", [5, "no replica"], "x"],
    ["body", "+", 10**30, "x"],
    ["body", "+", 0, "\ud800"],
    ["body", "-", 0, -1],
    ["body", "-", 1, "x"],
    ["body", "-", 1],
    ["body", "-", [1, "a" * 16, 3], 1],
    ["tags", "rm", [5]],
    ["tags", "rm", 5],
    ["tags", "rm", [[], {}]],
    ["tags", "add"],
    ["pinned", "off", None],
    ["pinned", "off"],
    ["place", "=", {"a": 1}],
    ["place", "="],
    ["place", "+", 0, "x"],
    ["nope", "+", 0, "x"],
    [5, "+", 0, "x"],
    ["body", "+"],
    ["body", "+", 0, 5],
    ["body"],
    [],
    ["body", 7],
    ["pairs", "add"],
    ["pairs", "add", [["z", -1, "zz"], 5]],
    ["pairs", "add", [["a" * 16, 1, "q" * 64], ["a" * 16, 2**70, "0" * 64]]],
    ["pairs", "add", [["a" * 16, 1, "0" * 64], None]],
]


@pytest.mark.parametrize("kind", ["thing", "issued"])
@pytest.mark.parametrize("op", NONSENSE, ids=str)
def test_nonsense_that_was_set_aside_keeps_nothing_back(op: list[Any], kind: str) -> None:
    database = memory(5)
    first = make("a", ops=[["body", "+", 0, "x"]])
    if "\ud800" in op:
        body = b'\x00{"oid":"%s","kind":"thing","ops":[["body","+",0,"\\ud800"]]}' % OID.encode()
    else:
        body = pack_body(Body(OID, kind, [op, ["body", "+", 0, "y"]]))
    rival = make("a", body=body, n=2)
    good = make("a", rival, oid="1" * 32, ops=[["body", "+", 0, "good"]], n=4)
    database.receive([first, rival, good])
    database.aside()
    database.issue_again()
    assert str(database.get(Thing, "1" * 32).body) == "good"
    assert len(database.aside()) <= 1
    assert database.issue_again() == 0
