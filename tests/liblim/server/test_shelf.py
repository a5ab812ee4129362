"""Libraries that come and go while they are in use, and who may speak for them: what comes together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from liblim.errors import ProtocolError
from liblim.server.limits import Limits
from liblim.server.shelf import Shelf
from liblim.server.stores import Log, Standing, Storage
from liblim.sync import Vouch
from liblim.trust import Identity
from tests.liblim.server.conftest import Opener
from tests.liblim.server.serving import Serving, Slow, on_storage, serving
from tests.liblim.server.signed import IDENTITIES, LIBRARY, vouch, writers

OTHER = "2c" * 16
FIRST, SECOND, THIRD = IDENTITIES


async def found(server: Serving, library: str = LIBRARY) -> None:
    """Let all devices be members of a library."""
    certificates = tuple(identity.certificate for identity in IDENTITIES)
    await server.server.shelf.found(library, FIRST.device, FIRST.certificate, Vouch(certificates))


@on_storage
async def test_the_last_word_of_a_removed_device_lets_nobody_in(open_storage: Opener) -> None:
    async with serving(open_storage()) as server:
        await found(server)
        shelf, accomplice = server.server.shelf, Identity.generate()
        await asyncio.gather(
            shelf.vouch(LIBRARY, FIRST.device, Vouch((), (), (SECOND.device,))),
            shelf.vouch(LIBRARY, SECOND.device, Vouch((accomplice.certificate,))),
            return_exceptions=True,
        )
        assert shelf.standing(LIBRARY, SECOND.device) is Standing.WITHDRAWN
        assert shelf.standing(LIBRARY, accomplice.device) is not Standing.MEMBER
        with pytest.raises(ProtocolError, match="removed|serve"):
            await shelf.vouch(LIBRARY, SECOND.device, Vouch((accomplice.certificate,)))


@on_storage
async def test_a_removed_library_does_not_come_back_by_a_members_word(open_storage: Opener) -> None:
    other = open_storage()
    async with serving(open_storage()) as server:
        await found(server)
        assert await asyncio.to_thread(other.registry.remove, LIBRARY)
        stranger = Identity.generate()
        with pytest.raises(ProtocolError, match="serve"):  # it has not read of it yet
            await server.server.shelf.vouch(
                LIBRARY, FIRST.device, Vouch((), (stranger.certificate,))
            )
        assert other.registry.libraries() == []


@on_storage
async def test_whoever_fills_the_table_can_still_be_removed(open_storage: Opener) -> None:
    async with serving(open_storage(), limits=Limits(devices=3)) as server:
        await found(server)
        shelf, one_more = server.server.shelf, Identity.generate()
        word = Vouch((FIRST.certificate, one_more.certificate), (), (SECOND.device,))
        with pytest.raises(ProtocolError, match="3 devices"):
            await shelf.vouch(LIBRARY, FIRST.device, word)
        assert shelf.standing(LIBRARY, SECOND.device) is Standing.WITHDRAWN
        assert shelf.standing(LIBRARY, one_more.device) is None
        # The first word of another library is refused whole.
        many = tuple(Identity.generate().certificate for _ in range(4))
        with pytest.raises(ProtocolError, match="3 devices"):
            await shelf.found(OTHER, FIRST.device, FIRST.certificate, Vouch(many))
        assert OTHER not in shelf.libraries


@on_storage
async def test_a_server_that_serves_as_many_as_it_may_takes_no_new_library(
    open_storage: Opener,
) -> None:
    async with serving(open_storage(), limits=Limits(all_devices=3)) as server:
        await found(server)
        with pytest.raises(ProtocolError, match="as many libraries or devices"):
            await found(server, OTHER)
        newcomer = Identity.generate()
        await server.server.shelf.vouch(LIBRARY, FIRST.device, Vouch((newcomer.certificate,)))
        assert server.server.shelf.standing(LIBRARY, newcomer.device) is Standing.MEMBER


def held_up(
    test: Callable[[Opener, pytest.MonkeyPatch], Any],
) -> Callable[[Opener, pytest.MonkeyPatch], None]:
    """Run a test on asyncio, with each kind of storage, that changes something for its time."""

    def run(open_storage: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
        asyncio.run(test(open_storage, monkeypatch))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@held_up
async def test_a_library_that_is_removed_while_it_is_opened_is_not_served_on(
    open_storage: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, other = open_storage(), open_storage()
    async with serving(storage) as server:
        await found(server)
        shelf = server.server.shelf
        slow = Slow(monkeypatch, storage, "open")
        opening = asyncio.ensure_future(shelf.open(LIBRARY))
        await asyncio.to_thread(slow.reached.wait)
        await asyncio.to_thread(other.registry.remove, LIBRARY)
        await shelf.look()
        await found(server)
        slow.go.set()
        with pytest.raises(ProtocolError, match="serve"):
            await opening
        author = writers()[0]
        served = (await shelf.open(LIBRARY)).served
        assert len((await served.receive([author.write(), author.write()])).entered) == 2
    log = other.open(LIBRARY)
    assert log.last_position() == 2
    log.close()


@held_up
async def test_one_library_that_is_slow_keeps_no_other_from_being_followed(
    open_storage: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage()
    async with serving(storage) as server:
        await found(server)
        await found(server, OTHER)
        shelf = server.server.shelf
        for library in (LIBRARY, OTHER):
            await shelf.open(library)
        await server.chores()
        slow = Slow(monkeypatch, shelf.circles[LIBRARY].served._admission, "admit")
        newcomer = Identity.generate()
        await shelf.vouch(LIBRARY, FIRST.device, Vouch((), (newcomer.certificate,)))
        await asyncio.to_thread(slow.reached.wait)
        await shelf.vouch(OTHER, FIRST.device, Vouch((), (), (SECOND.device,)))
        assert shelf.standing(OTHER, SECOND.device) is Standing.WITHDRAWN
        # It is removed, and its closing waited for by nobody.
        await asyncio.to_thread(storage.registry.remove, LIBRARY)
        await shelf.look()
        assert LIBRARY not in shelf.circles
        slow.go.set()
        await server.chores()


@held_up
async def test_the_journal_is_followed_however_many_hints_come(
    open_storage: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liblim.server.shelf.LOOK", 0.05)
    storage, other = open_storage(), open_storage()
    async with serving(storage) as server:
        await found(server)
        await found(server, OTHER)
        shelf = server.server.shelf
        await shelf.open(LIBRARY)
        await asyncio.to_thread(other.registry.remove, OTHER)
        async with asyncio.timeout(20):
            while OTHER in shelf.libraries:
                shelf._hint(LIBRARY)
                await asyncio.sleep(0)


@held_up
async def test_one_library_that_cannot_be_followed_does_not_hide_the_others_news(
    open_storage: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage()
    vouch(storage)
    vouch(storage, OTHER)
    real = Shelf._take

    def take(shelf: Shelf, library: str, words: Any) -> None:
        if library == LIBRARY:
            raise RuntimeError("as the test wants it")
        real(shelf, library, words)

    monkeypatch.setattr(Shelf, "_take", take)
    async with serving(storage) as server:
        assert [*server.server.shelf.libraries] == [OTHER]


def test_removing_a_library_leaves_one_that_comes_meanwhile_alone(
    open_storage: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, other = open_storage(), open_storage()
    vouch(storage)

    def removed() -> None:
        assert storage.registry.remove(LIBRARY)

    logs: list[Log] = []

    def come() -> None:
        vouch(other, OTHER)
        logs.append(other.open(OTHER))

    _between(monkeypatch, storage, come)
    removed()
    assert other.has_log(OTHER)
    logs[0].close()


def _between(monkeypatch: pytest.MonkeyPatch, storage: Storage, come: Callable[[], None]) -> None:
    """Have something happen in the middle of a sweep, where there is one."""
    registry: Any = storage.registry
    if not hasattr(registry, "sweep"):
        come()
        return
    real = registry.numbers

    def numbers() -> Any:
        come()
        monkeypatch.setattr(registry, "numbers", real)
        return real()

    monkeypatch.setattr(registry, "numbers", numbers)
