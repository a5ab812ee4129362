"""JSON values, as registers and sets hold them."""

from __future__ import annotations

from math import isfinite
from typing import Any, TypeVar

import msgspec

from liblim.crdt.ops import COUNTER_LIMIT, check_text
from liblim.errors import OperationError

T = TypeVar("T")

DEEPEST = 32
"""So many lists and objects may lie in each other."""


def canonical(value: object) -> str:
    """The one JSON text of a value: keys sorted, no spaces.

    Raises OperationError for what JSON cannot say, or not all its readers exactly: NaN, tuples, octets,
    keys that are not strings, whole numbers from 2**53 on, lone surrogates.
    """
    _check(value, DEEPEST)
    return msgspec.json.encode(value, order="sorted").decode()


def parse(text: str) -> Any:
    """The value of a canonical text; each call makes a new one."""
    return msgspec.json.decode(text)


def read(octets: bytes | msgspec.Raw, form: type[T], what: str) -> T:
    """The JSON in ``octets``, of this form.  Raises OperationError, which says ``what`` it should be."""
    try:
        return msgspec.json.decode(octets, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise OperationError(f"This is not {what}: {error}.") from error


def _check(value: object, depth: int) -> None:
    """Refuse what is not made of JSON's own types."""
    kind = type(value)
    if value is None or kind is bool:
        return
    if isinstance(value, str):
        check_text(value)
    elif kind is list or kind is dict:
        if not depth:
            raise OperationError(f"A value is at most {DEEPEST} levels deep.")
        _check_inner(value, depth - 1)
    elif isinstance(value, int):
        if abs(value) >= COUNTER_LIMIT:
            raise OperationError("A whole number in a value is below 2**53.")
    elif not isinstance(value, float) or not isfinite(value):
        raise OperationError("A value is text, number, true, false, null, list or object of such.")


def _check_inner(value: object, depth: int) -> None:
    """Refuse a list or object that holds something else."""
    if isinstance(value, dict):
        for key in value:
            if type(key) is not str:
                raise OperationError("The keys of an object are strings.")
            check_text(key)
        value = list(value.values())
    assert isinstance(value, list)
    for item in value:
        _check(item, depth)
