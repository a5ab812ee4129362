"""Operations of others on a text: checked, then integrated.

What is malformed, names unknown elements or contradicts what is here is refused before anything is touched.
"""

from __future__ import annotations

from liblim.crdt import splice as splices
from liblim.crdt.ops import COUNTER_LIMIT, Op, check_id, check_length, check_text, read_ref
from liblim.crdt.rga import Rga
from liblim.crdt.splice import Splice
from liblim.errors import OperationError


def insert(rga: Rga, counter: int, replica: str, op: Op) -> list[Splice]:
    """Integrate an insert; what is here already of it is passed over."""
    if len(op) != 3:
        check_length(op, 3)
    (left, owner), text = read_ref(op[1], replica), op[2]
    if type(text) is not str or not text.isascii():
        check_text(text)
    if not text:
        raise OperationError("An insert has at least one character.")
    if counter + len(text) > COUNTER_LIMIT:
        check_id(counter, replica, len(text))
    if left >= counter:
        raise OperationError("An element's counter is greater than its left neighbour's.")
    span = rga.find(left, owner) if left else None
    if span is None and left:
        raise _not_here()
    index = rga.ids.get(replica)
    if index is not None and counter < index.end():
        known = _known_part(rga, counter, replica, text)
        if known == len(text):
            return []
        if known:
            counter += known
            text = text[known:]
            left = counter - 1
            span = rga.find(left, replica)
    offset = 0 if span is None else left + 1 - span.counter
    return [Splice(rga.insert(span, offset, counter, replica, text), 0, text)]


def _known_part(rga: Rga, counter: int, replica: str, text: str) -> int:
    """How many of the first elements of an insert are here; refuse what contradicts these."""
    known = 0
    for start, n in rga.runs(counter, replica, len(text)):
        here = rga.visible(start, replica, n)
        if start != counter + known or (here and here != text[known : known + n]):
            raise OperationError("Another element has this id.")
        known += n
    return known


def delete(rga: Rga, replica: str, op: Op) -> list[Splice]:
    """Integrate a delete; what is deleted already is passed over."""
    check_length(op, 3)
    first, n = read_ref(op[1], replica), op[2]
    if type(n) is not int or n < 1:
        raise OperationError("A delete has at least one element.")
    check_id(first[0], first[1], n)
    span = rga.find(first[0], first[1])
    if span is None or (
        first[0] + n > span.counter + span.length and not rga.holds(first[0], first[1], n)
    ):
        raise _not_here()
    effect: list[Splice] = []
    for _, _, text, pos in rga.delete(first[0], first[1], n, span):
        splices.append(effect, Splice(pos, len(text), ""))
    return effect


def _not_here() -> OperationError:
    return OperationError("The operation names an element that is not here.")
