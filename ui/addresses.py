"""The addresses of this device, each with the kind of its network and a button that copies it."""

from __future__ import annotations

from PySide6.QtWidgets import QGridLayout, QWidget

from app.status import OwnAddress
from ui import theme
from ui.parts import CopyButton, ElidedWords


class Addresses(QWidget):
    """Lists where others can reach this device; rows that stay keep focus and state."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[_Row] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(theme.GAP + 4)
        self._grid.setVerticalSpacing(0)
        self._grid.setColumnStretch(3, 1)

    @property
    def stops(self) -> list[QWidget]:
        """What the Tab key stops at, in order."""
        return [row.button for row in self._rows]

    @property
    def texts(self) -> list[tuple[str, str]]:
        """What is shown: kinds and addresses."""
        return [(row.label.text(), row.address.text()) for row in self._rows]

    def show_addresses(self, addresses: tuple[OwnAddress, ...]) -> bool:
        """Show these, in their order; whether there are other rows than before."""
        grown = len(addresses) != len(self._rows)
        while len(self._rows) < len(addresses):
            self._rows.append(_Row(self._grid, len(self._rows)))
        while len(self._rows) > len(addresses):
            self._rows.pop().remove()
        for row, own in zip(self._rows, addresses, strict=True):
            row.show_address(own)
        return grown


class _Row:
    """One line of the list."""

    def __init__(self, grid: QGridLayout, at: int) -> None:
        self.label = ElidedWords(role="soft")
        self.address = ElidedWords()
        self.address.setFont(theme.fixed_font(self.address))
        self.button = CopyButton("")
        for column, widget in enumerate((self.label, self.address, self.button)):
            grid.addWidget(widget, at, column)

    def show_address(self, own: OwnAddress) -> None:
        self.label.show_text(own.label)
        self.address.show_text(own.address)
        self.address.setAccessibleDescription(own.label)
        self.button.set_content(own.address)
        self.button.set_what(
            self.button.tr("Copy the address {address}").format(address=own.address)
        )

    def remove(self) -> None:
        for widget in (self.label, self.address, self.button):
            widget.hide()
            widget.deleteLater()
