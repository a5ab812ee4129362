"""What a device gets when it joins a library."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from liblim.change import MAX_CERTIFICATE, Identifier

MAX_GRANTED = 1000
"""Keys in a grant, and devices."""

Key = Annotated[bytes, Meta(min_length=32, max_length=32)]


class Granted(Struct, frozen=True):
    """A device of the library, and whether it is a member now."""

    certificate: Annotated[bytes, Meta(min_length=1, max_length=MAX_CERTIFICATE)]
    member: bool


class Grant(Struct, frozen=True):
    """The library's id, its keys, and the devices that write or wrote in it.

    Of the keys the first one comes first, and the one in use last.
    """

    library: Identifier
    founder: Identifier
    epochs: Annotated[tuple[Key, ...], Meta(min_length=1, max_length=MAX_GRANTED)]
    devices: Annotated[tuple[Granted, ...], Meta(max_length=MAX_GRANTED)]

    def __repr__(self) -> str:
        """Name the library, never a key."""
        return f"<Grant of {self.library}>"
