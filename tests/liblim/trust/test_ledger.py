"""The ledger: who is in, as devices introduce and remove each other."""

from __future__ import annotations

from liblim.trust.documents import text_of
from liblim.trust.grant import Granted
from liblim.trust.ledger import Duties, Ledger, Removal
from tests.liblim.trust.trusting import (
    LIBRARY,
    Pen,
    World,
    certificate,
    device,
    epoch,
    library_of,
    names,
    take,
)

NOTHING = Duties(False, {}, {})


# Introductions


def test_the_founder_is_alone_at_first() -> None:
    ledger = World().all()
    assert names(ledger) == "a"
    assert ledger.removed == {}
    assert ledger.epoch({"anything"}) == ""
    assert ledger.duties(device("a"), set()) == NOTHING


def test_a_member_introduces_others_who_introduce_others() -> None:
    world = World()
    a = Pen(world, "a")
    b = a.introduce("b")
    c = b.introduce("c")
    c.rename("c", "  Desk\n upstairs ")
    c.announce_addresses("192.0.2.1:4242", "[2001:db8::1]:4242")
    ledger = world.all()
    assert names(ledger) == "abc"
    member = ledger.members[device("c")]
    assert member.certificate == certificate("c") == ledger.certificates[device("c")]
    assert member.name == "Desk upstairs"
    assert member.addresses == ("192.0.2.1:4242", "[2001:db8::1]:4242")
    assert ledger.members[device("b")].name == ""


def test_nobody_introduces_itself() -> None:
    world = World()
    x = Pen(world, "x")
    x.introduce("x")
    y = x.introduce("y")
    y.introduce("x")
    y.remove("a")
    y.rename("a", "Mine")
    y.announce("theirs", [device("y")])
    ledger = world.all()
    assert names(ledger) == "a"
    assert ledger.removed == {}
    assert ledger.members[device("a")].name == ""
    assert ledger.epoch({epoch("theirs")}) == ""
    assert device("x") in ledger.certificates


def test_a_certificate_counts_only_on_the_document_named_after_it() -> None:
    world, (a,) = library_of("a")
    a.write("device", device("b"), ["certificate", "=", text_of(certificate("c"))])
    a.write("device", "0" * 32, ["certificate", "=", text_of(certificate("c"))])
    a.write("thing", device("c"), ["certificate", "=", text_of(certificate("c"))])
    ledger = world.all()
    assert names(ledger) == "a"
    assert set(ledger.certificates) == {device("a")}


def test_what_was_handed_over_counts_until_the_introduction_is_read() -> None:
    world, (_, b, _) = library_of("abc")
    b.remove("c")
    base = [Granted(certificate(letter), letter != "c") for letter in "abc"]
    ledger = Ledger(LIBRARY, base, device("a"))
    assert names(ledger) == "ab"
    assert set(ledger.certificates) == {device(letter) for letter in "abc"}
    for word in world.words:
        take(ledger, word)
    assert names(ledger) == "ab"
    # Whoever is no member of what was handed over, but of a founder that never introduced it, is none.
    stranger = Ledger(LIBRARY, [*base, Granted(certificate("x"), True)], device("a"))
    assert names(stranger) == "abx"
    Pen(world, "y").introduce("x")
    take(stranger, world.words[-1])
    assert names(stranger) == "ab"


def test_a_newcomer_has_no_duties_until_it_has_read_its_own_introduction() -> None:
    world, (a, b, _) = library_of("abc")
    a.announce("old")
    b.remove("c")
    a.read(b)
    d = a.introduce("d")
    base = [Granted(certificate(letter), letter != "c") for letter in "abcd"]
    ledger = Ledger(LIBRARY, base, device("a"))
    held = {epoch("old")}
    for word in world.words[:-1]:
        take(ledger, word)
        assert ledger.duties(d.device, held) == NOTHING
    take(ledger, world.words[-1])
    assert ledger.duties(d.device, held).new_epoch


# Removals


def test_a_removed_device_is_no_member_any_more_and_never_again() -> None:
    world, (a, b, _) = library_of("abc")
    b.remove("c", into="next")
    a.read(b)
    a.introduce("c")
    a.write("library", LIBRARY, ["removed", "rm", [1]])
    ledger = world.all()
    assert names(ledger) == "ab"
    assert ledger.removed == {device("c"): Removal(device("c"), device("b"), 2)}


def test_two_devices_that_remove_each_other_are_both_out() -> None:
    world, (a, b, c) = library_of("abc")
    a.remove("b", into="of a")
    b.remove("a", into="of b")
    c.read(a, b)
    ledger = world.all()
    assert names(ledger) == "c"
    assert {removal.by for removal in ledger.removed.values()} == {a.device, b.device}
    held = {epoch("of a"), epoch("of b")}
    # Both epochs are void; the first one is known to both.
    assert ledger.epoch(held) == ""
    assert ledger.duties(c.device, held).new_epoch
    assert ledger.duties(a.device, held) == ledger.duties(b.device, held) == NOTHING
    c.announce("of c")
    assert world.all().epoch({*held, epoch("of c")}) == epoch("of c")
    assert not world.all().duties(c.device, {*held, epoch("of c")}).new_epoch


def test_two_removals_at_once_make_both_new_epochs_wrong() -> None:
    world, (a, b, _, _) = library_of("abcd")
    a.remove("c", into="knows d")
    b.remove("d", into="knows c")
    a.read(b)
    held = {epoch("knows c"), epoch("knows d")}
    ledger = world.all()
    assert names(ledger) == "ab"
    assert ledger.epoch(held) in held
    assert ledger.duties(a.device, held).new_epoch
    assert ledger.duties(b.device, held).new_epoch
    a.announce("knows neither")
    held.add(epoch("knows neither"))
    assert world.all().epoch(held) == epoch("knows neither")
    assert world.all().duties(b.device, held) == NOTHING


def test_a_removal_without_a_new_epoch_is_made_good() -> None:
    world, (a, b, _) = library_of("abc")
    a.announce("old")
    held = {epoch("old")}
    assert world.all().duties(a.device, held) == NOTHING
    b.remove("c")
    assert world.all().duties(a.device, held).new_epoch
    # Whoever does not hold the newest one goes on with an older one, and may have to replace that.
    a.read(b)
    a.announce("new")
    assert world.all().epoch(held) == epoch("old")
    assert world.all().duties(b.device, held).new_epoch
    held.add(epoch("new"))
    assert world.all().epoch(held) == epoch("new")
    assert not world.all().duties(b.device, held).new_epoch


def test_a_removal_seen_late_takes_back_what_was_believed_meanwhile() -> None:
    _, (a, b, c) = library_of("abc")
    a.remove("c", into="new")
    x = c.introduce("x")
    x.introduce("y")
    x.rename("b", "Theirs")
    c.announce("c's", [b.device, c.device, x.device])
    b.read(c, x)
    b.announce("b's")
    held = {epoch("c's"), epoch("b's")}
    before = b.ledger()
    assert names(before) == "abcxy"
    assert before.epoch(held) == epoch("b's")
    b.read(a)
    after = b.ledger()
    assert names(after) == "ab"
    # What b announced is known to c, whom it knew as a member, and to x, who has never been one.
    assert after.epoch(held) == epoch("b's")
    assert after.duties(b.device, held).new_epoch


def test_a_removed_devices_introductions_hold_if_the_removal_saw_them() -> None:
    world, (a, b, c) = library_of("abc")
    c.introduce("x")
    a.read(c)
    a.remove("c")
    y = c.introduce("y")
    y.introduce("z")
    c.restart()
    c.introduce("d")
    ledger = world.all()
    assert names(ledger) == "abx"
    assert {device(letter) for letter in "cydz"} <= set(ledger.certificates)
    # Another introduction, by a member, holds.
    b.introduce("y")
    assert names(world.all()) == "abxyz"


def test_of_several_removals_the_one_that_saw_least_counts() -> None:
    world, (a, b, c) = library_of("abc")
    c.introduce("x")
    a.read(c)
    a.remove("c")
    assert names(world.all()) == "abx"
    b.remove("c")
    assert names(world.all()) == "ab"


def test_a_removed_devices_removals_count() -> None:
    world, (a, _, c, d) = library_of("abcd")
    a.remove("c")
    c.remove("b")
    x = d.introduce("x")
    a.remove("d")
    x.remove("a")
    ledger = world.all()
    assert names(ledger) == ""
    assert ledger.removed[device("b")].by == c.device


def test_no_removal_takes_its_own_ground_away() -> None:
    world = World()
    a = Pen(world, "a")
    b = a.introduce("b")
    b.remove("a", saw={})
    ledger = world.all()
    # With the founder gone as if it had never written, nobody is introduced; but the removal stands.
    assert set(ledger.removed) == {a.device}
    assert names(ledger) == ""


def test_a_rename_by_a_removed_device_is_void() -> None:
    world, (a, b, c) = library_of("abc")
    a.rename("b", "Desk")
    c.read(a)
    c.rename("b", "Desktop")
    a.read(c)
    a.remove("c")
    c.rename("b", "Rubbish")
    c.rename("c", "Still here")
    assert world.all().members[b.device].name == "Desktop"
    b.remove("c", saw={})
    assert world.all().members[b.device].name == "Desk"


def test_a_name_is_fit_to_be_shown_whoever_gave_it() -> None:
    """On a terminal, too: it neither moves the cursor nor turns the line round."""
    world, (a, b) = library_of("ab")
    a.rename("b", " De\x1b[2Jsk\n\u202e\u2066 \x9b" + "k" * 100)
    assert world.all().members[b.device].name == "De [2Jsk " + "k" * 55
    a.rename("b", "\x1b\u200b")
    assert world.all().members[b.device].name == ""
    a.rename("b", "👩\u200d💻 of Ö")
    assert world.all().members[b.device].name == "👩\u200d💻 of Ö"


def test_the_founder_can_be_removed() -> None:
    world, (a, b, _) = library_of("abc")
    b.remove("a", into="without a")
    a.introduce("x")
    a.rename("b", "Rubbish")
    b.introduce("d")
    ledger = world.all()
    assert names(ledger) == "bcd"
    assert ledger.members[b.device].name == ""
    assert ledger.epoch({epoch("without a")}) == epoch("without a")
    assert ledger.duties(a.device, {epoch("without a")}) == NOTHING
    assert ledger.duties(b.device, {epoch("without a")}).wraps == {
        epoch("without a"): [device("d")]
    }


def test_a_device_may_leave() -> None:
    world, (_, b, c) = library_of("abc")
    c.remove("c")
    assert names(world.all()) == "ab"
    assert world.all().duties(b.device, set()).new_epoch


def test_removing_what_was_never_there_gives_no_duties() -> None:
    world, (a, _) = library_of("ab")
    a.remove("x")
    ledger = world.all()
    assert set(ledger.removed) == {device("x")}
    assert ledger.duties(a.device, set()) == NOTHING


# Epochs


def test_an_epoch_announced_beside_an_introduction_gets_the_missing_key() -> None:
    world, (a, b, _) = library_of("abc")
    b.remove("c", into="new")
    d = a.introduce("d")
    b.read(a)
    ledger, held = world.all(), {epoch("new")}
    assert ledger.duties(b.device, held) == Duties(False, {epoch("new"): [d.device]}, {})
    assert ledger.duties(a.device, held) == Duties(False, {epoch("new"): [d.device]}, {})
    # d itself has nothing to give, and writes with what it has, which c knows.
    assert ledger.duties(d.device, set()) == Duties(True, {}, {})
    b.announce("new", [d.device])
    ledger = world.all()
    assert ledger.duties(a.device, held) == NOTHING
    assert ledger.epoch(held) == epoch("new")


def test_a_key_handed_on_later_does_not_make_its_epoch_the_last() -> None:
    world, (a, b) = library_of("ab")
    a.announce("one")
    a.announce("two")
    c = a.introduce("c")
    held = {epoch("one"), epoch("two")}
    assert world.all().duties(a.device, held).wraps == {name: [c.device] for name in sorted(held)}
    a.announce("two", [c.device])
    b.read(a)
    b.announce("one", [c.device])
    ledger = world.all()
    assert ledger.epoch(held) == epoch("two")
    assert ledger.duties(a.device, held) == NOTHING


def test_an_epoch_known_to_a_stranger_is_replaced() -> None:
    world, (a, b) = library_of("ab")
    a.announce("old", [a.device, b.device, device("x")])
    assert world.all().duties(b.device, {epoch("old")}).new_epoch


def test_keys_of_void_epochs_are_handed_on_too() -> None:
    world, (a, b, c) = library_of("abc")
    a.remove("c", into="new")
    c.announce("void")
    b.read(c)
    d = b.introduce("d")
    b.read(a)
    duties = world.all().duties(b.device, {epoch("void"), epoch("new")})
    assert not duties.new_epoch
    assert set(duties.wraps) == {epoch("void"), epoch("new")}
    assert duties.wraps[epoch("new")] == [d.device]
    assert world.all().epoch({epoch("void")}) == ""


# What was read before


def test_what_was_read_before_is_no_news() -> None:
    world, (a, _, c) = library_of("abc")
    a.announce_addresses("192.0.2.1:1")
    a.rename("b", "Desk")
    c.remove("b", into="new")
    ledger = world.ledger()
    assert [take(ledger, word) for word in world.words] == [True] * len(world.words)
    assert [take(ledger, word) for word in world.words] == [False] * len(world.words)
    members = ledger.members
    assert ledger.members is members
    Pen(world, "a").write("thing", "0" * 32, ["body", "+", 0, "text"])
    assert not take(ledger, world.words[-1])
    assert ledger.members is members


# Removals in changes that cannot enter the log


def test_a_removal_that_was_only_heard_is_to_be_written_again() -> None:
    world, (a, b, *_) = library_of("abcd")
    ledger = world.all()
    a.remove("d")
    heard = world.words[-1]
    assert ledger.hear(heard.change, heard.author, heard.body)
    assert ledger.hear(heard.change, heard.author, heard.body)
    # Until then it does not hold: what holds is made of what everybody has.
    assert names(ledger) == "abcd"
    assert ledger.duties(b.device, set()).removals == {device("d"): a.saw("d")}
    assert ledger.duties(device("d"), set()).removals == {}
    b.remove("d", saw=a.saw("d"))
    take(ledger, world.words[-1])
    assert names(ledger) == "abc"
    assert ledger.duties(b.device, set()).removals == {}


def test_what_two_heard_removals_saw_both_counts() -> None:
    world, (a, b, c, d) = library_of("abcd")
    ledger = world.all()
    d.rename("d", "seen by one")
    b.read(d)
    for pen in (a, b):
        pen.remove("d")
        word = world.words[-1]
        ledger.hear(word.change, word.author, word.body)
    assert ledger.duties(c.device, set()).removals == {device("d"): a.saw("d")}


def test_of_what_is_heard_only_removals_by_who_was_ever_introduced_count() -> None:
    world, (a, b, _) = library_of("abc")
    ledger = world.all()
    stranger = Pen(world, "x")
    stranger.remove("c")
    a.announce("e")
    b.remove("y")
    b.write("library", LIBRARY, ["removed", "add", {"device": device("c")}], ["removed", "add"])
    for word in world.words[-4:]:
        ledger.hear(word.change, word.author, word.body)
    assert ledger.duties(a.device, set()) == NOTHING
    assert names(ledger) == "abc"


def test_a_server_is_known_to_all_and_is_no_member() -> None:
    world, (a, b, _) = library_of("abc")
    b.serve("s", "Cellar", "192.0.2.9:4241")
    ledger = world.all()
    assert names(ledger) == "abc"
    (server,) = ledger.servers.values()
    assert server == (device("s"), certificate("s"), "Cellar", ("192.0.2.9:4241",), True)
    assert ledger.peers.keys() == ledger.members.keys() | {device("s")}
    # It has no part in anything: its certificate checks no signature, and no key is due to it.
    assert device("s") not in ledger.certificates
    assert ledger.duties(a.device, {epoch("x")}, [epoch("x")]).wraps[epoch("x")] == sorted(
        ledger.members.keys() - {a.device}
    )
    s = Pen(world, "s")
    s.introduce("x")
    s.serve("y", "", "")
    assert names(world.all()) == "abc"
    assert world.all().servers.keys() == {device("s")}


def test_a_server_that_was_removed_is_none_and_makes_no_epoch_wrong() -> None:
    world, (a, b) = library_of("ab")
    a.serve("s", "Cellar", "192.0.2.9:4241")
    a.announce("first")
    b.read(a)
    b.remove("s", saw={})
    a.read(b)
    ledger = world.all()
    assert not ledger.servers
    assert ledger.removed[device("s")].by == b.device
    assert not ledger.duties(a.device, {epoch("first")}).new_epoch
    a.serve("s", "Cellar", "192.0.2.9:4241")
    assert not world.all().servers


def test_what_a_removed_device_says_of_servers_beyond_its_removal_is_void() -> None:
    world, (a, _, c) = library_of("abc")
    c.serve("s", "Cellar", "192.0.2.9:4241")
    a.read(c)
    a.remove("c")
    c.serve("t", "Trap", "192.0.2.66:4241")
    c.serve("s", "Elsewhere", "192.0.2.66:4241")
    (server,) = world.all().servers.values()
    assert (server.name, server.addresses) == ("Cellar", ("192.0.2.9:4241",))


def test_odd_documents_of_servers_mean_nothing() -> None:
    world, (a, _) = library_of("ab")
    a.write("server", device("s"), ["certificate", "=", text_of(certificate("t"))])
    a.write("server", device("s"), ["certificate", "=", 7])
    a.write("server", device("s"), ["name", "=", ["Cellar"]])
    a.write("server", device("s"), ["addresses", "=", "192.0.2.9:4241"])
    a.write("server", device("b"), ["certificate", "=", text_of(certificate("b"))])
    assert not world.all().servers  # a member is none
    assert names(world.all()) == "ab"
