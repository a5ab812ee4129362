from __future__ import annotations

from random import Random

import pytest

from liblim.change import Change, Range
from liblim.errors import ChangeError, StoreError
from liblim.sync import Arrived, Closed, Ready, State, Unknown, Wanted, Welcomed
from liblim.sync.codec import LineDecoder, encode
from liblim.sync.messages import MAX_RANGES, Icanhaz, Ihaz, Kthx, Message, Nm, Nowai, Sup, Ucanhaz
from tests.liblim.changes import make, replica
from tests.liblim.sync.fakes import End, MemoryLog, paired, run


def messages(data: bytes) -> list[Message]:
    decoder = LineDecoder(limit=2**20)
    decoder.feed(data)
    found: list[Message] = []
    while (message := decoder.next()) is not None:
        assert not isinstance(message, Unknown)
        found.append(message)
    assert not decoder.partial
    return found


def said(end: End, kind: type[Message]) -> list[Message]:
    return [message for message in messages(bytes(end.sent)) if isinstance(message, kind)]


def filled(letter: str, changes: int) -> MemoryLog:
    log = MemoryLog(letter)
    for _ in range(changes):
        log.write(letter)
    return log


def converged(*ends: End) -> None:
    assert len({end.log.digest for end in ends}) == 1
    for end in ends:
        assert end.session.identical
        assert (end.session.we_lack, end.session.they_lack) == (0, 0)
        assert end.session.waiting_for == ""
        assert not end.log.waiting


def test_two_empty_logs_have_little_to_say() -> None:
    a, b = paired(MemoryLog("a"), MemoryLog("b"))
    run((a, b))
    converged(a, b)
    assert [type(event) for event in a.seen] == [Welcomed, Ready]
    assert [m.verb for m in messages(bytes(a.sent))] == ["ØHAI", "SUP", "NM", "IHAZ"]
    assert a.session.round_trip == 0
    assert (a.session.hello and a.session.hello.name) == "Other"


def test_equal_logs_exchange_a_digest_and_no_heads() -> None:
    log = filled("a", 3)
    copy = MemoryLog("b")
    copy.receive(log.changes)
    a, b = paired(log, copy)
    run((a, b))
    converged(a, b)
    assert all(not ihaz.heads for end in (a, b) for ihaz in said(end, Ihaz))  # type: ignore[attr-defined]


def test_both_sides_get_what_they_lack() -> None:
    a, b = paired(filled("a", 3), filled("b", 4))
    run((a, b))
    converged(a, b)
    assert a.log.count == 7
    assert (a.session.changes_out, a.session.changes_in) == (3, 4)
    assert (a.session.bytes_out, a.session.bytes_in) == (b.session.bytes_in, b.session.bytes_out)


def test_a_backlog_comes_in_windows_in_the_givers_order() -> None:
    a, b = paired(filled("a", 600), MemoryLog("b"))
    run((a, b))
    converged(a, b)
    assert b.log.changes == a.log.changes
    given = said(a, Ucanhaz)
    assert [m.left for m in given if isinstance(m, Ucanhaz)] == [
        *range(255, -1, -1),
        *range(255, -1, -1),
        *range(87, -1, -1),
    ]
    assert len(said(b, Icanhaz)) == 3


def test_a_window_is_bounded_in_bytes() -> None:
    log = MemoryLog("a")
    for _ in range(6):
        log.write("a", body=bytes(250_000))
    a, b = paired(log, MemoryLog("b"))
    run((a, b))
    converged(a, b)
    assert len(said(b, Icanhaz)) == 2


def test_many_replicas_are_listed_in_pages_and_asked_for_in_parts() -> None:
    log = MemoryLog("a", room=10_000)
    for number in range(2_500):
        log.receive([make("", replica=f"{number:016x}")])
    a, b = paired(log, MemoryLog("b"))
    run((a, b))
    converged(a, b)
    pages = [(m.page, m.more, len(m.heads)) for m in said(a, Ihaz) if isinstance(m, Ihaz)]
    assert pages[:3] == [(1, True, 1000), (2, True, 1000), (3, False, 500)]
    assert all(len(m.ranges) <= MAX_RANGES for m in said(b, Icanhaz) if isinstance(m, Icanhaz))


def test_new_changes_are_pushed_and_acknowledged() -> None:
    a, b = paired(filled("a", 1), MemoryLog("b"))
    run((a, b))
    asked = len(said(b, Icanhaz))
    change = a.write("a")
    assert a.session.they_lack == 1
    data = a.take(0)
    assert messages(data) == [Ucanhaz(change), Ihaz(2, a.log.digest)]
    assert a.session.waiting_for == "its word that it has committed what we sent"
    b.give(data)
    (receipt,) = messages(b.take(0))
    assert receipt == Kthx(
        2,
        b.log.digest,
        ((change.replica, 2, change.hash),),  # type: ignore[arg-type]
    )
    assert b.session.identical
    a.give(encode(receipt))
    assert not a.take(0)
    converged(a, b)
    assert len(said(b, Icanhaz)) == asked


def test_what_a_slow_peer_has_not_acknowledged_is_announced_and_asked_for() -> None:
    a, b = paired(MemoryLog("a"), MemoryLog("b"))
    run((a, b))
    for _ in range(200):
        a.write("a")
    data = a.take(0)
    assert len(said(a, Ucanhaz)) == 64
    assert [len(m.heads) for m in messages(data) if isinstance(m, Ihaz)] == [1]
    b.give(data)
    run((a, b))
    converged(a, b)
    assert b.log.count == 200
    assert b.session.changes_in == 200
    a.write("a")
    run((a, b))
    assert b.session.changes_in == 201


def test_large_pushes_are_bounded_in_bytes() -> None:
    a, b = paired(MemoryLog("a"), MemoryLog("b"))
    run((a, b))
    for _ in range(5):
        a.write("a", body=bytes(100_000))
    assert len(a.take(0)) < 400_000
    assert len(said(a, Ucanhaz)) == 2


def test_what_a_peer_cannot_take_yet_is_announced() -> None:
    """A change that depends on one which the peer lacks is not pushed over its head."""
    a, b = paired(MemoryLog("a"), MemoryLog("b"))
    run((a, b))
    unknown = make("c")
    a.log.receive([unknown])  # it has not been committed as far as the session knows
    a.write("a")
    (news,) = messages(a.take(0))
    assert isinstance(news, Ihaz)
    assert [entry.replica for entry in news.heads] == [replica("a")]


def test_changes_are_forwarded_along_a_chain_and_never_back() -> None:
    left, right = MemoryLog("a"), MemoryLog("c")
    middle = MemoryLog("b")
    a, b1 = paired(left, middle)
    b2, c = paired(middle, right)
    b1.others, b2.others = [b2], [b1]
    run((a, b1), (b2, c))
    a.write("a")
    c.write("c")
    run((a, b1), (b2, c))
    converged(a, b1, b2, c)
    for _ in range(100):
        a.write("a")
        c.write("c")
    run((a, b1), (b2, c))
    converged(a, b1, b2, c)
    assert a.session.changes_in == c.session.changes_in == 101
    assert b1.session.changes_in == b2.session.changes_in == 101


def test_a_ring_comes_to_rest() -> None:
    logs = [MemoryLog(letter) for letter in "abc"]
    wires = [paired(logs[i], logs[(i + 1) % 3]) for i in range(3)]
    for i in range(3):
        one, other = wires[i][0], wires[i - 1][1]
        one.others, other.others = [other], [one]
    run(*wires)
    for i in range(3):
        wires[i][0].write("abc"[i])
    run(*wires)
    converged(*[end for wire in wires for end in wire])


def test_a_change_committed_while_the_first_digests_cross_arrives() -> None:
    a, b = paired(MemoryLog("a"), MemoryLog("b"))
    greetings = a.take(0), b.take(0)
    a.give(greetings[1])
    b.give(greetings[0])
    summaries = a.take(0), b.take(0)
    a.write("a")
    a.give(summaries[1])
    b.give(summaries[0])
    run((a, b))
    converged(a, b)
    assert b.log.count == 1


def test_a_full_waiting_room_only_costs_another_request() -> None:
    log = MemoryLog("a")
    for letter in "abcabcabc":
        log.write(letter)
    a, b = paired(log, MemoryLog("b", room=1))
    run((a, b))
    converged(a, b)


def test_what_was_acknowledged_at_its_commit_is_not_acknowledged_again() -> None:
    a, b = paired(filled("a", 1), MemoryLog("b"))
    run((a, b))
    change = a.write("a")
    b.session.receive_data(a.take(0), 0)
    b.session.events()
    b.session.committed(b.log.receive([change]), 0)
    (receipt,) = messages(b.session.data_to_send())
    assert isinstance(receipt, Kthx)
    b.session.settled([change], 0)
    assert not b.session.data_to_send()


def test_duplicates_are_acknowledged() -> None:
    a, b = paired(filled("a", 2), MemoryLog("b"))
    run((a, b))
    b.take(0)
    b.give(encode(Ucanhaz(a.log.changes[0])))
    (receipt,) = messages(b.take(0))
    assert isinstance(receipt, Kthx)
    assert receipt.heads[0].seq == 2


def test_only_a_newer_request_is_answered() -> None:
    a, b = paired(filled("a", 300), MemoryLog("b"))
    run((a, b))
    ask = [Range(replica("a"), 1, 300)]
    a.session.receive_data(encode(Icanhaz(7, tuple(ask))), 0)
    a.session.receive_data(encode(Icanhaz(8, tuple(ask), changes=2)), 0)
    a.session.supply(7, a.log.changes[:256], 0)
    a.session.supply(8, a.log.changes[:2], 0)
    assert [(m.request, m.left) for m in messages(a.take(0)) if isinstance(m, Ucanhaz)] == [
        (8, 1),
        (8, 0),
    ]
    assert [e.request for e in a.session.events() if isinstance(e, Wanted)] == [7, 8]


def test_asking_for_what_is_not_there_is_answered_with_all_heads() -> None:
    a, b = paired(filled("a", 3), MemoryLog("b"))
    run((a, b))
    for ranges in ((), ((replica("b"), 1, 5),), ((replica("a"), 4, 9),), ((replica("a"), 3, 2),)):
        a.give(encode(Icanhaz(9, ranges)))  # type: ignore[arg-type]
        (listing,) = messages(a.take(0))
        assert isinstance(listing, Ihaz)
        assert (listing.page, len(listing.heads)) == (1, 1)


def test_a_giver_that_finds_nothing_lists_its_heads() -> None:
    a, b = paired(filled("a", 3), MemoryLog("b"))
    run((a, b))
    a.session.receive_data(encode(Icanhaz(9, (Range(replica("a"), 1, 3),))), 0)
    a.session.supply(9, [], 0)
    assert isinstance(messages(a.take(0))[0], Ihaz)


class Mute(End):
    """An end whose shell never reads what the peer wants."""

    def handle(self, event: object, now: float) -> None:
        if not isinstance(event, Wanted):
            super().handle(event, now)  # type: ignore[arg-type]


def test_asking_again_ends_until_there_is_news() -> None:
    log = filled("a", 3)
    b = End(MemoryLog("b"), log.device)
    a = Mute(log, b.log.device)
    run((a, b))
    assert len(said(b, Icanhaz)) == 1
    now = 0.0
    for _ in range(40):
        now += 0.5
        b.session.tick(now)
        a.session.tick(now)
        run((a, b), now=now)
    assert len(said(b, Icanhaz)) == 4
    assert b.session.waiting_for == "changes that it has and does not give"
    assert b.session.we_lack == 3
    a.write("a", now)
    run((a, b), now=now)
    assert len(said(b, Icanhaz)) == 5


def test_a_long_line_on_a_slow_connection_is_progress() -> None:
    log = filled("a", 1)
    log.write("a", body=bytes(200_000))
    b = End(MemoryLog("b"), log.device)
    a = End(log, b.log.device)
    while len(data := a.take(0)) < 200_000:
        b.give(data)
        a.give(b.take(0))
    now = 0.0
    for i in range(0, len(data), 10_000):
        now += 1.0
        b.give(data[i : i + 10_000], now)
        b.session.tick(now)
    assert len(said(b, Icanhaz)) == 1
    assert b.log.count == 2


def test_digests_that_differ_for_no_known_reason_make_a_peer_list_its_heads() -> None:
    a, b = paired(filled("a", 2), MemoryLog("b"))
    run((a, b))
    liar = Ihaz(2, "0" * 64)
    b.give(encode(liar))
    assert not b.session.identical
    timer = b.session.next_timer()
    assert timer == 2.0
    b.session.tick(2.0)
    (request,) = said(b, Icanhaz)[1:] or messages(b.take(2.0))
    assert request == Icanhaz(2)
    a.give(encode(request), 2.0)
    run((a, b), now=2.0)
    converged(a, b)


def test_an_endless_difference_is_not_asked_about_for_ever() -> None:
    a, b = paired(filled("a", 2), MemoryLog("b"))
    run((a, b))
    now = 0.0
    for _ in range(100):
        now += 1.0
        b.give(encode(Ihaz(2, "0" * 64)), now)
        b.session.tick(now)
        b.take(now)
    assert len(said(b, Icanhaz)) == 3


def test_receipts_may_go_down() -> None:
    a, b = paired(filled("a", 3), MemoryLog("b"))
    run((a, b))
    assert a.session.they_lack == 0
    first = a.log.changes[0]
    a.give(encode(Ihaz(1, "1" * 64, page=1, heads=((first.replica, 1, first.hash),))))  # type: ignore[arg-type]
    assert a.session.they_lack == 2
    assert not a.session.identical


@pytest.mark.parametrize("run_number", range(5))
def test_random_writing_on_cut_wires_converges(seed: int, run_number: int) -> None:
    rng = Random(f"{seed} {run_number}")
    logs = {letter: MemoryLog(letter, room=rng.choice([3, 1000])) for letter in "abc"}

    def wires() -> list[tuple[End, End]]:
        made = [paired(logs["a"], logs["b"]), paired(logs["b"], logs["c"])]
        made[0][1].others, made[1][0].others = [made[1][0]], [made[0][1]]
        return made

    for _ in range(30):
        links = wires()
        for _ in range(rng.randrange(60)):
            wire = rng.choice(links)
            if rng.random() < 0.4:
                end = rng.choice(wire)
                end.write(end.log.device[0])
            one, other = rng.sample(wire, 2)
            data = one.take(0)
            if rng.random() < 0.05:
                other.give(data[: rng.randrange(len(data) + 1)])
                break
            other.give(data)
    links = wires()
    run(*links)
    converged(*[end for wire in links for end in wire])
    assert len({log.digest for log in logs.values()}) == 1


def test_cut_at_every_byte_leaves_nothing_behind_that_a_new_session_cannot_mend() -> None:
    log = filled("a", 2)
    a, b = paired(log, MemoryLog("b"))
    run((a, b))
    recorded = bytes(a.sent)
    for cut in range(len(recorded)):
        fresh = MemoryLog("b")
        end = End(fresh, log.device)
        end.give(recorded[:cut])
        end.take(0)
        end.session.eof(0)
        end.work(0)
        assert end.closed.error
        assert end.closed.code == ("lost" if recorded[:cut][-1:] in (b"\n", b"") else "half-line")
    x, y = paired(log, fresh)
    run((x, y))
    converged(x, y)


def test_a_recorded_session_reads_the_same_byte_by_byte() -> None:
    log = filled("a", 5)
    a, b = paired(log, MemoryLog("b"))
    run((a, b), chunks=lambda data: [data[i : i + 1] for i in range(len(data))])
    converged(a, b)


def test_unknown_verbs_are_passed_over_and_reported_once() -> None:
    a, b = paired(MemoryLog("a"), MemoryLog("b"))
    run((a, b))
    a.give(b'PURRZ {"loud":[1,{}]}\nPURRZ {}\nMEOW {}\n')
    assert a.of(Unknown) == [Unknown("PURRZ"), Unknown("MEOW")]
    for i in range(100):
        a.give(f"X{'Y' * (i % 26)}{chr(65 + i // 26)} {{}}\n".encode())
    assert len(a.of(Unknown)) == 16
    assert a.session.state is State.OPEN


@pytest.mark.parametrize(
    "line",
    [b"KTHX {}\n", b'SUP {"ping":1}\n', b"PURRZ {}\n", b"GET / HTTP/1.1\r\n", b"\n"],
)
def test_nothing_comes_before_the_greeting(line: bytes) -> None:
    a, _ = paired(MemoryLog("a"), MemoryLog("b"))
    a.take(0)
    a.give(line)
    assert a.closed.error
    assert a.take(0).startswith(b"NOWAI ")
    a.give(b"more\n")
    assert a.take(0) == b""


def test_a_second_greeting_is_out_of_place() -> None:
    a, b = paired(MemoryLog("a"), MemoryLog("b"))
    greeting = b.take(0)
    a.give(greeting + greeting)
    assert a.closed.code == "bad-message"


def test_garbage_gets_one_refusal_and_what_came_before_it_is_kept() -> None:
    a, b = paired(MemoryLog("a"), filled("b", 1))
    run((a, b))
    change = make("b", b.log.changes[-1])
    a.give(encode(Ucanhaz(change)) + b"garbage\n" * 3)
    assert a.log.count == 2
    assert a.closed.code == "garbage"
    assert a.take(0).count(b"NOWAI") == 1
    assert [type(event) for event in a.seen[-2:]] == [Arrived, Closed]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ChangeError("its clock is wrong"), "bad-change"),
        (StoreError("/home/x: disk full"), "trouble"),
    ],
)
def test_a_shell_may_refuse(error: ChangeError | StoreError, code: str) -> None:
    a, b = paired(MemoryLog("a"), MemoryLog("b"))
    run((a, b))
    a.refuse(error)
    assert a.closed.code == code
    assert str(error) in a.closed.reason
    b.give(a.take(0))
    assert b.closed.code == code
    assert b.closed.by_peer
    assert "/home" not in b.closed.reason
    a.refuse(error)
    assert a.take(0) == b""


def test_a_change_out_of_bounds_is_the_senders_fault() -> None:
    a, b = paired(MemoryLog("a"), MemoryLog("b"))
    run((a, b))
    line = encode(Ucanhaz(make("b"))).replace(b'"clock":1', b'"clock":0')
    a.give(line)
    assert a.closed.code == "bad-change"


def test_leaving_in_good_order() -> None:
    a, b = paired(MemoryLog("a"), MemoryLog("b"))
    run((a, b))
    a.session.leave("The program ends.")
    a.work(0)
    assert not a.closed.error
    b.give(a.take(0))
    assert not b.closed.error
    assert b.closed.reason == "The program ends."
    b.session.eof(0)
    assert b.take(0) == b""


@pytest.mark.parametrize(
    ("said", "code"),
    [("removed", "removed"), ("left", "trouble"), ("of-tomorrow", "trouble")],
)
def test_a_refusal_ends_it_without_another_word(said: str, code: str) -> None:
    a, b = paired(filled("a", 1), MemoryLog("b"))
    run((a, b))
    a.write("a")
    a.session.receive_data(encode(Icanhaz(9)) + encode(Nowai(said, "No\nway")), 0)
    a.work(0)
    assert a.take(0) == b""
    assert a.closed == Closed(code, "No way", by_peer=True)
    assert a.closed.error


def test_a_stranger_that_says_nothing() -> None:
    a, _ = paired(MemoryLog("a"), MemoryLog("b"))
    assert a.session.next_timer() == 10.0
    a.session.tick(9.9)
    assert a.session.state is State.GREETING
    a.session.tick(10.0)
    a.work(10.0)
    assert a.closed.code == "too-late"
    assert a.session.next_timer() is None


def test_a_quiet_peer_is_asked_and_then_taken_for_gone() -> None:
    a, b = paired(MemoryLog("a"), MemoryLog("b"))
    run((a, b))
    a.take(0)
    assert a.session.next_timer() == 5.0
    a.session.tick(5.0)
    (sup,) = messages(a.take(5.0))
    b.give(encode(sup), 5.25)
    (nm,) = messages(b.take(5.25))
    assert isinstance(nm, Nm)
    a.give(encode(nm), 5.5)
    assert a.session.round_trip == 0.5
    times = []
    while a.session.state is State.OPEN:
        timer = a.session.next_timer()
        assert timer is not None
        times.append(timer)
        a.session.tick(timer)
    assert times == [10.5, 15.5, 20.5]
    a.work(20.5)
    assert a.closed.code == "silent"
    assert b"NOWAI" not in a.take(20.5)


def test_a_peer_is_not_gone_while_our_own_log_keeps_us_from_listening() -> None:
    a, b = paired(MemoryLog("a"), filled("b", 1))
    run((a, b))
    a.session.receive_data(encode(Ucanhaz(make("b", b.log.changes[-1]))), 1.0)
    (arrived,) = a.session.events()
    assert isinstance(arrived, Arrived)
    a.session.tick(30.0)
    assert a.session.state is State.OPEN
    assert (a.session.next_timer() or 0) > 30.0
    a.session.settled(arrived.changes, 31.0)
    a.session.tick(32.0)
    assert a.session.state is State.OPEN


def test_of_many_questions_the_last_is_answered() -> None:
    a, b = paired(MemoryLog("a"), MemoryLog("b"))
    run((a, b))
    a.give(b"".join(encode(Sup(ping)) for ping in range(1000)))
    assert messages(a.take(0)) == [Nm(999)]


def test_nothing_grows_for_a_peer_that_does_not_read() -> None:
    a, b = paired(filled("a", 50), MemoryLog("b"))
    run((a, b))
    ask = encode(Icanhaz(5, (Range(replica("a"), 1, 50),))) + encode(Icanhaz(6)) + encode(Sup(1))
    for _ in range(2000):
        a.give(ask)
        a.write("a")
    assert len(a.take(0)) < 1_000_000


def test_a_change_is_not_sent_to_a_peer_that_gave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = paired(MemoryLog("a"), MemoryLog("b"))
    run((a, b))
    change: Change = b.write("b")
    run((a, b))
    assert a.log.changes == [change]
    assert said(a, Ucanhaz) == []
