"""A naive RGA: a plain list, slow, and obviously right.

``liblim.crdt.Text`` is compared with it, element by element, for good.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Id = tuple[int, str]
BEGINNING: Id = (0, "")


@dataclass
class Element:
    """One character that somebody typed, ``left`` being what it was typed after; it stays when deleted."""

    id: Id
    left: Id
    char: str
    deleted: bool = False


class NaiveRga:
    """All elements in document order.  It trusts its input."""

    def __init__(self) -> None:
        self.elements: list[Element] = []

    def __str__(self) -> str:
        return "".join(element.char for element in self.elements if not element.deleted)

    def rows(self) -> list[tuple[int, str, str]]:
        """What ``Text.elements`` gives: counter, replica and character, or "" for a tombstone."""
        return [(*e.id, "" if e.deleted else e.char) for e in self.elements]

    def apply(self, ops: Iterable[list[Any]]) -> None:
        """Integrate free-standing operations, one element at a time."""
        for counter, replica, kind, ref, argument in ops:
            target = self._read(ref, replica)
            if kind == "+":
                for k, char in enumerate(argument):
                    self.insert(Element((counter + k, replica), target, char))
                    target = (counter + k, replica)
            else:
                for k in range(argument):
                    self.elements[self._number((target[0] + k, target[1]))].deleted = True

    def insert(self, new: Element) -> None:
        """Put an element after its left neighbour, behind all that were put there with a greater id."""
        if any(element.id == new.id for element in self.elements):
            return
        i = 0 if new.left == BEGINNING else self._number(new.left) + 1
        while i < len(self.elements) and self.elements[i].id > new.id:
            i += 1
        self.elements.insert(i, new)

    def tree_order(self) -> list[Id]:
        """The ids in the order that defines an RGA, worked out anew.

        Each element is a child of its left neighbour; siblings stand in descending order of their ids; an
        element stands before its children, and these before its next sibling.
        """
        children: dict[Id, list[Id]] = {}
        for element in self.elements:
            children.setdefault(element.left, []).append(element.id)
        order: list[Id] = []
        todo = sorted(children.get(BEGINNING, []))
        while todo:
            order.append(todo.pop())
            todo += sorted(children.get(order[-1], []))
        return order

    def _number(self, id: Id) -> int:
        return next(i for i, element in enumerate(self.elements) if element.id == id)

    @staticmethod
    def _read(ref: Any, replica: str) -> Id:
        if ref == 0:
            return BEGINNING
        return (ref, replica) if isinstance(ref, int) else (ref[0], ref[1])
