"""The digest over heads that advance one by one."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping

from liblim.change import GROUP, Head, digest_of_group


class HeadDigest:
    """What ``liblim.change.digest`` says of heads that advance, at the cost of those that do.

    A library has a replica for each run of the program on any of its devices: after years, many thousands.
    """

    def __init__(self, heads: Mapping[str, Head]) -> None:
        """Follow ``heads``, of which ``advanced`` tells what becomes another."""
        self._heads = heads
        self._groups: dict[str, list[str]] = {}
        """The replicas that begin alike, in order."""
        self._digests: dict[str, bytes] = {}
        self._value = ""
        for replica in sorted(heads):
            self._groups.setdefault(replica[:GROUP], []).append(replica)

    def advanced(self, replicas: Iterable[str]) -> None:
        """Take note that these have other heads than before, or are new."""
        for replica in replicas:
            name = replica[:GROUP]
            group = self._groups.setdefault(name, [])
            place = bisect_left(group, replica)
            if group[place : place + 1] != [replica]:
                group.insert(place, replica)
            self._digests.pop(name, None)
        self._value = ""

    @property
    def value(self) -> str:
        """The digest, as hex."""
        if not self._value:
            digests = b"".join(map(self._of_group, sorted(self._groups)))
            self._value = hashlib.sha256(digests).hexdigest()
        return self._value

    def _of_group(self, name: str) -> bytes:
        if name not in self._digests:
            heads = ((replica, self._heads[replica]) for replica in self._groups[name])
            self._digests[name] = digest_of_group(heads)
        return self._digests[name]
