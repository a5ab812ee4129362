"""The shapes of operations, and the checks that every one from outside must pass.

An operation is a JSON list whose first item says what it does.  It does not hold its own id: the counter
follows from where it stands in a change, and the replica from whose change it is.  Free-standing
operations, outside any change, carry both in front: ``[counter, replica, *op]``.

================================  ===========  ============================================
operation                         takes        means
================================  ===========  ============================================
``["+", ref, "chars"]``           len(chars)   text: insert after the element ``ref``
``["-", ref, n]``                 0            text: delete n elements, from ``ref`` upwards
``["=", value]``                  1            register: set
``["add", value]``                1            set, growing set: add
``["rm", [ref, ...]]``            1            set: undo these additions
``["on"]``, ``["off", [ref..]]``  1            flag: enable; undo these enablings
``["inc", n]``                    1            counter: add ``n``, which may be negative
================================  ===========  ============================================

A ``ref`` is ``0`` for the beginning of the text, an int ``c`` for the id ``(c, the operation's own
replica)``, or ``[c, replica]``.  "Takes" says how many counters: :func:`width` tells it for operations
of a later version too, so that those can be passed over.
"""

from __future__ import annotations

from typing import Any

from liblim.errors import OperationError

Op = list[Any]
Id = tuple[int, str]
Ref = int | list[Any]

BEGINNING: Id = (0, "")
COUNTER_LIMIT = 2**53
"""Counters stay below it, so that every JSON implementation reads them exactly."""


def width(op: object) -> int:
    """How many counters ``op`` takes, known or unknown.  Raises OperationError where it has no shape."""
    if type(op) is not list or not op or type(op[0]) is not str:
        raise _shapeless()
    kind = op[0]
    if kind == "-":
        return 0
    if kind != "+":
        return 1
    if len(op) < 3 or not isinstance(op[2], str):
        raise OperationError("An insert carries its text.")
    return len(op[2])


def make_ref(target: Id, replica: str) -> Ref:
    """How an operation by ``replica`` names the element or operation ``target``."""
    counter, owner = target
    return counter if owner == replica or not counter else [counter, owner]


def read_ref(ref: object, replica: str) -> Id:
    """The id that ``ref`` names in an operation by ``replica``."""
    if type(ref) is int and 0 <= ref < COUNTER_LIMIT:
        return (ref, replica) if ref else BEGINNING
    if type(ref) is not list or len(ref) != 2:
        raise OperationError("A reference is 0, a counter, or a counter and a replica.")
    counter, owner = ref
    check_id(counter, owner)
    return counter, owner


def check_id(counter: object, replica: object, taken: int = 1) -> None:
    """Refuse an id that nobody can have; ``taken`` counters from it on must be within the limit."""
    if type(counter) is not int or counter < 1 or counter + taken > COUNTER_LIMIT:
        raise OperationError("A counter is a whole number from 1 to 2**53 - 1.")
    if type(replica) is not str or not replica:
        raise OperationError("A replica is named by a string that is not empty.")
    if not replica.isascii():
        check_text(replica)


def check_op(counter: Any, replica: Any, op: object) -> None:
    """Refuse what is no operation with an id."""
    if type(op) is not list or not op or type(op[0]) is not str:
        raise _shapeless()
    plain = type(counter) is int and type(replica) is str and replica.isascii()
    if not (plain and replica and 0 < counter < COUNTER_LIMIT - 1):
        check_id(counter, replica)


def _shapeless() -> OperationError:
    return OperationError("An operation is a list that begins with a name.")


def check_text(text: object) -> None:
    """Refuse what is no string of Unicode characters: half a surrogate pair belongs in no text."""
    if not isinstance(text, str):
        raise OperationError("A text is a string.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise OperationError("A text holds no lone surrogates.") from None


def check_length(op: Op, length: int) -> None:
    """Refuse an operation with too few or too many items."""
    if len(op) != length:
        raise OperationError(f"The operation {op[0]!r} has {length} items, not {len(op)}.")


def unknown(op: Op) -> OperationError:
    """The error for an operation that this kind of field does not have."""
    return OperationError(f"The operation {op[0]!r} is not known here.")
