"""What a server needs of its storage: a narrow interface with two implementations, SQLite and PostgreSQL.

All methods are synchronous, may raise StoreError, and are called on threads: those of a ``Registry`` on
several, those of one ``Log`` on one at a time.  What a method wrote is durable when it returns, or when the
transaction it stands in ends.  Several processes may use one storage: that, and only that, is what
``fresh``, ``words`` and ``listen`` are for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from liblim.admission import AdmissionStore
from liblim.change import Change, Range
from liblim.store import Admitted, Fresh
from liblim.store.registry import Invitation, Standing, Word


class Log(AdmissionStore, Protocol):
    """The log of one library: what admission needs, and what serving needs.

    Positions are gap-free, from 1, and a causal order.  ``transaction`` keeps out other writers of the same
    library until its end.
    """

    def close(self) -> None:
        """Let go of it."""

    def last_position(self) -> int:
        """The position of the last change that this process has seen, 0 where there is none."""

    def read(self, ranges: Sequence[Range], changes: int, octets: int) -> list[Change]:
        """The first of the changes in ``ranges`` that the log holds, in order of arrival.

        At most ``changes`` of them, and none more once their bodies come to ``octets`` bytes.
        """

    def history(self, after: int, most: int) -> list[Admitted]:
        """The changes behind a position, in order, at most so many."""

    def octets(self) -> int:
        """Bytes that the library takes, roughly; quick."""

    def receipts(self) -> list[tuple[bytes, int]]:
        """What is kept of each device, with the position of the log at that time."""

    def save_receipt(self, device: str, kept: bytes, position: int) -> None:
        """Keep what was heard of a device, in the place of what was kept before."""

    def forget_receipt(self, device: str) -> None:
        """Drop what was heard of a device."""


class Registry(Protocol):
    """Which libraries are served, who may speak for them, and the server's own facts."""

    def fact(self, name: str) -> str | None:
        """A value kept under ``name``."""

    def set_fact(self, name: str, value: str) -> None:
        """Keep ``value`` under ``name``."""

    def set_fact_once(self, name: str, value: str) -> str:
        """Keep ``value`` unless there is one, in one step; returns what is kept."""

    def libraries(self) -> list[str]:
        """All libraries, in the order in which they came."""

    def words(self, after: int) -> list[Word]:
        """The journal behind a number, in order; complete: none with a smaller number comes later.

        Of each device in a library the last line is enough.
        """

    def vouch(
        self,
        library: str,
        members: Mapping[str, bytes],
        authors: Mapping[str, bytes],
        withdrawn: Collection[str],
        *,
        by: str = "",
    ) -> None:
        """Take what a member says of its library, in one transaction.

        ``by`` is that member; nothing is taken where it is none by now, or the library is not served any
        more.  Where nobody is named, at pairing, a library that is not there is made.

        -  ``withdrawn`` are so for ever.  If any is newly so, all members that are not among ``members``
           become authors: whom the removed device let in, and nobody else knows, goes with it.
        -  ``members`` that are not withdrawn become so.
        -  ``authors`` that are not withdrawn become so, members too: whoever vouched for these may not have
           known of a removal.

        A certificate that is kept is never replaced.  What does not change is not written.
        """

    def remove(self, library: str) -> bool:
        """Forget a library with its log, its devices and its receipts; whether there was one.

        What the journal keeps of it is one line that says so.  It may be made again later.
        """

    # The invitation: one at a time

    def invite(self, invitation: Invitation) -> None:
        """Let this one count, and none before it."""

    def invitation(self) -> Invitation | None:
        """The one that counts, if any; it may be over by its time or its tries."""

    def guess(self, code: str) -> bool:
        """Take a try from the invitation with this code, in one step; whether there was one left."""

    def spend(self, code: str) -> bool:
        """Drop the invitation with this code, in one step; whether it was there: it counts once."""


class Storage(Protocol):
    """All that a server keeps."""

    @property
    def registry(self) -> Registry:
        """The one registry."""

    def open(self, library: str) -> Log:
        """The log of a library that the registry knows; one process opens each at most once."""

    def listen(self, hint: Callable[[str], None]) -> None:
        """Call ``hint``, on any thread, when another process may have written to a library.

        It gets the library; "" for the registry.  Hints may be lost, and may come without news.
        """

    def writing(self) -> AbstractContextManager[None]:
        """The right to run a server on this storage, as long as the context lasts.

        Raises StoreBusy where another process has it, and only one may.
        """

    def back_up(self, folder: Path) -> None:
        """Write a copy of everything into a new folder, while servers run."""

    def close(self) -> None:
        """Let go of everything."""


__all__ = ["Admitted", "Fresh", "Invitation", "Log", "Registry", "Standing", "Storage", "Word"]
