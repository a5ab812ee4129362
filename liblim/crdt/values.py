"""JSON values, as registers and sets hold them."""

from __future__ import annotations

from typing import Any

import msgspec

from liblim.errors import OperationError


def canonical(value: object) -> str:
    """The one JSON text of a value: keys sorted, no spaces.

    Raises OperationError for what JSON cannot say exactly: NaN, tuples, bytes, keys that are not strings,
    whole numbers beyond 64 bits, lone surrogates.
    """
    try:
        octets = msgspec.json.encode(value, order="sorted")
        if msgspec.json.decode(octets) == value:
            return octets.decode()
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
        pass
    raise OperationError(
        "A value is what JSON can hold: text, number, true, false, null, list, object."
    )


def parse(text: str) -> Any:
    """The value of a canonical text; each call makes a new one."""
    return msgspec.json.decode(text)
