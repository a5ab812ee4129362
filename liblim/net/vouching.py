"""What a device tells a server about who is in the library."""

from __future__ import annotations

from liblim.sync import Vouch
from liblim.sync.messages import MAX_VOUCHED
from liblim.trust import Ledger


def vouching(ledger: Ledger) -> tuple[Vouch, ...]:
    """All that a server has to know, in as many messages as it takes.

    The first names the members and, so that it knows whom to drop, all who were removed; servers that were
    removed are among these, and mean nothing to it.
    """
    members = ledger.members
    certificates = [member.certificate for member in members.values()][:MAX_VOUCHED]
    withdrawn = tuple(sorted(ledger.removed))
    authors = [der for device, der in sorted(ledger.certificates.items()) if device not in members]
    first = Vouch(tuple(certificates), (), withdrawn[:MAX_VOUCHED])
    size = MAX_VOUCHED // 2
    others = [
        Vouch((), tuple(authors[start : start + size])) for start in range(0, len(authors), size)
    ]
    return first, *others
