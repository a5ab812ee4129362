"""How Lim Notes looks: one table of colours, the measures, the fonts and the style sheet.

Widgets name what they are (``setObjectName``, or the property ``role``); everything about looks is here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from string import Template

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from app.status import State


@dataclass(slots=True)
class Colours:
    """The colours of one look, as ``#rrggbb``; each text colour is legible on the grounds it meets."""

    page: str  # behind the text of a note
    list: str  # behind the list of notes
    ground: str  # behind the sidebar, the status bar, the panel
    line: str  # between areas
    line_strong: str  # around what can be clicked; pictures
    text: str
    soft: str  # text of second rank
    faint: str  # hints, icons at rest
    accent: str  # what can be clicked
    accent_hover: str
    on_accent: str
    chosen: str  # the selected row where the focus is
    chosen_idle: str  # the selected row where it is not
    hover: str
    selection: str  # selected text
    good: str
    busy: str
    wait: str
    idle: str
    bad: str
    good_ground: str
    wait_ground: str
    bad_ground: str
    off: str  # what cannot be clicked now
    off_accent: str  # a primary button that cannot
    edge_hover: str  # around a button under the mouse
    ring: str  # around a primary button that has the focus
    ground_hover: str
    banner_edge: str
    notice: str  # behind a notice
    on_notice: str
    notice_accent: str
    notice_hover: str
    notice_wait: str
    handle: str  # of a scroll bar
    handle_hover: str


LIGHT = Colours(
    page="#ffffff",
    list="#fbfcf9",
    ground="#f2f4ee",
    line="#e0e4d9",
    line_strong="#c5cdbc",
    text="#1d231c",
    soft="#596357",
    faint="#656f63",
    accent="#3c7a28",
    accent_hover="#2f6420",
    on_accent="#ffffff",
    chosen="#dcebc9",
    chosen_idle="#e8ede1",
    hover="#eef2e8",
    selection="#cfe5b4",
    good="#3c7a28",
    busy="#1f6fa8",
    wait="#96610a",
    idle="#6c766a",
    bad="#b3322b",
    good_ground="#ebf4e0",
    wait_ground="#fdf4e0",
    bad_ground="#fcebe9",
    off="#a3ab9f",
    off_accent="#a9c39f",
    edge_hover="#b3bda9",
    ring="#1d4212",
    ground_hover="#e4e9dc",
    banner_edge="#f0dfb8",
    notice="#1d231c",
    on_notice="#ffffff",
    notice_accent="#b9e089",
    notice_hover="#343c32",
    notice_wait="#f0c46c",
    handle="#c8cfc0",
    handle_hover="#a9b29f",
)

DARK = Colours(
    page="#1e221c",
    list="#1a1e19",
    ground="#151814",
    line="#2e342b",
    line_strong="#4a5446",
    text="#e6eae2",
    soft="#acb6a8",
    faint="#98a294",
    accent="#9ccb6b",
    accent_hover="#b2dc85",
    on_accent="#14200d",
    chosen="#34462b",
    chosen_idle="#2a3126",
    hover="#272d24",
    selection="#3d5a2b",
    good="#9ccb6b",
    busy="#7db9e8",
    wait="#e0b060",
    idle="#98a294",
    bad="#f28b82",
    good_ground="#243119",
    wait_ground="#352b17",
    bad_ground="#3b2321",
    off="#6c7568",
    off_accent="#4d6139",
    edge_hover="#66725f",
    ring="#e6f5d3",
    ground_hover="#232820",
    banner_edge="#4f411f",
    notice="#31382e",
    on_notice="#e6eae2",
    notice_accent="#b9e089",
    notice_hover="#434c3f",
    notice_wait="#f0c46c",
    handle="#454e41",
    handle_hover="#5c6757",
)

colours = replace(LIGHT)
"""The colours of the look that was applied last: ask them when you draw, not when you are imported."""

GAP = 8
"""Pixels between things that belong together; areas are 2 or 3 of it apart."""
RADIUS = 7
ICON = 18
HEADER = 46
"""Height of the headings over the list and the note."""

_STATES = {
    State.UP_TO_DATE: "good",
    State.SYNCING: "busy",
    State.CONNECTING: "busy",
    State.WAITING: "wait",
    State.AWAY: "idle",
    State.REFUSED: "bad",
}

_NOBODYS_CHOICE = {"Sans Serif", "Sans", "DejaVu Sans", "Bitstream Vera Sans", ""}
_PREFERRED = ("Inter", "Noto Sans", "Cantarell", "Open Sans", "Liberation Sans", "DejaVu Sans")
_OTHER_SCRIPTS = ("Noto Sans CJK SC", "WenQuanYi Zen Hei", "Noto Color Emoji")


def apply(application: QApplication, look: Colours | None = None) -> None:
    """Give an application a look: light or dark as the system is, unless it is named."""
    if look is None:
        dark = application.styleHints().colorScheme() == Qt.ColorScheme.Dark
        look = DARK if dark else LIGHT
    for field in fields(look):
        setattr(colours, field.name, getattr(look, field.name))
    application.setStyle("Fusion")
    application.setFont(_font(application.font()))
    application.setPalette(_palette())
    application.setStyleSheet(style_sheet())


def state_look(state: State) -> tuple[str, str]:
    """The icon and the colour that stand beside a state's words."""
    return f"state-{state.name.lower().replace('_', '-')}", getattr(colours, _STATES[state])


def font(widget: QWidget, *, scale: float = 1.0, bold: bool = False) -> QFont:
    """The application's font for a widget, larger or smaller, so that a person's choice of size holds."""
    chosen = QFont(QApplication.font(widget))
    chosen.setPointSizeF(chosen.pointSizeF() * scale)
    if bold:
        chosen.setWeight(QFont.Weight.DemiBold)
    return chosen


def fixed_font(widget: QWidget) -> QFont:
    """The fixed-width font for addresses and digests, as large as the text around it."""
    chosen = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    chosen.setPointSizeF(QApplication.font(widget).pointSizeF())
    return chosen


def icon_size() -> QSize:
    """The size of icons in buttons."""
    return QSize(ICON, ICON)


def _font(default: QFont) -> QFont:
    """The system's font, unless nobody chose it; with fonts for other scripts behind it."""
    families = list(default.families())
    if set(families) <= _NOBODYS_CHOICE:
        installed = set(QFontDatabase.families())
        families = [family for family in _PREFERRED if family in installed][:1] or families
    chosen = QFont(default)
    chosen.setFamilies([*families, *_OTHER_SCRIPTS])
    chosen.setPointSizeF(max(default.pointSizeF(), 10.0))
    return chosen


def _palette() -> QPalette:
    roles = QPalette.ColorRole
    palette = QPalette()
    for role, value in {
        roles.Window: colours.ground,
        roles.WindowText: colours.text,
        roles.Base: colours.page,
        roles.AlternateBase: colours.list,
        roles.Text: colours.text,
        roles.PlaceholderText: colours.faint,
        roles.Button: colours.page,
        roles.ButtonText: colours.text,
        roles.BrightText: colours.bad,
        roles.Highlight: colours.selection,
        roles.HighlightedText: colours.text,
        roles.Accent: colours.accent,
        roles.Link: colours.accent,
        roles.LinkVisited: colours.accent,
        roles.ToolTipBase: colours.text,
        roles.ToolTipText: colours.page,
    }.items():
        palette.setColor(role, QColor(value))
    for role in (roles.WindowText, roles.Text, roles.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(colours.off))
    return palette


def style_sheet() -> str:
    """The style sheet, with colours and measures filled in."""
    return Template(_STYLE).substitute(asdict(colours), radius=RADIUS)


_STYLE = """
QToolTip { background: $text; color: $page; border: 0; padding: 4px 7px; }
QMenuBar { background: $ground; border-bottom: 1px solid $line; padding: 2px 6px; }
QMenuBar::item { padding: 4px 9px; border-radius: 5px; background: transparent; }
QMenuBar::item:selected, QMenuBar::item:pressed { background: $chosen; color: $text; }
QMenu { background: $page; border: 1px solid $line; padding: 5px; }
QMenu::item { padding: 5px 26px 5px 14px; border-radius: 5px; }
QMenu::item:selected { background: $chosen; color: $text; }
QMenu::item:disabled { color: $off; }
QMenu::separator { height: 1px; background: $line; margin: 5px 8px; }
QSplitter::handle { background: $line; }
QStatusBar { background: $ground; border-top: 1px solid $line; }
QStatusBar::item { border: 0; }

#sidebar, #sidebarList { background: $ground; border: 0; }
#listPane, #noteList { background: $list; border: 0; }
#noteList { selection-background-color: $list; }  /* the rows paint their own */
#notePane, #noteHeader, NoteEditor { background: $page; border: 0; }
#noteHeader { border-bottom: 1px solid $line; }
#listHeader { border-bottom: 1px solid $line; }
[role="title"] { color: $text; }
[role="soft"] { color: $soft; }
[role="soft"]:disabled { color: $off; }
[role="faint"] { color: $faint; }
[role="good"] { color: $good; }
[role="bad"] { color: $bad; }
[role="off"] { color: $off; }

QPushButton, QToolButton, QRadioButton { outline: none; }
QPushButton {
    background: $page; border: 1px solid $line_strong; border-radius: ${radius}px; padding: 5px 13px;
}
QPushButton:hover { background: $hover; border-color: $edge_hover; }
QPushButton:pressed { background: $chosen; }
QPushButton:focus { border: 1px solid $accent; }
QPushButton:disabled { color: $off; background: $ground; }
QPushButton[role="primary"] { background: $accent; border-color: $accent; color: $on_accent; }
QPushButton[role="primary"]:hover { background: $accent_hover; border-color: $accent_hover; }
QPushButton[role="primary"]:focus { border: 2px solid $ring; padding: 4px 12px; }
QPushButton[role="primary"]:disabled { background: $off_accent; border-color: $off_accent; }
QPushButton[role="danger"] { color: $bad; }
QPushButton[role="danger"]:focus { border-color: $bad; }
QPushButton[role="quiet"] { background: transparent; border-color: transparent; color: $accent; }
QPushButton[role="quiet"]:hover { background: $hover; }
QPushButton[role="quiet"]:focus { border-color: $accent; }
QPushButton[role="quiet"]:disabled { color: $off; }

QToolButton { background: transparent; border: 1px solid transparent; border-radius: 6px; padding: 4px; }
QToolButton:hover { background: $hover; }
QToolButton:pressed { background: $chosen; }
QToolButton:focus { border-color: $accent; }
QToolButton::menu-indicator { image: none; }
#sidebar QToolButton:hover, QStatusBar QToolButton:hover { background: $ground_hover; }

QLineEdit {
    background: $page; border: 1px solid $line_strong; border-radius: ${radius}px; padding: 5px 8px;
    selection-background-color: $selection; selection-color: $text;
}
QLineEdit:focus { border: 1px solid $accent; }
QLineEdit[role="bad"] { border-color: $bad; }
QComboBox {
    background: $page; border: 1px solid $line_strong; border-radius: ${radius}px; padding: 5px 8px;
}
QComboBox::drop-down { border: 0; width: 22px; }
QComboBox:hover { border-color: $edge_hover; }
QComboBox:focus { border: 1px solid $accent; }
QComboBox QAbstractItemView { background: $page; border: 1px solid $line; }
QComboBox QAbstractItemView { selection-background-color: $chosen; selection-color: $text; }
#deviceName { background: transparent; border-color: transparent; padding: 2px 5px; }
#deviceName:hover { border-color: $line_strong; background: $page; }
#deviceName:focus { border-color: $accent; background: $page; }

#notice { background: $notice; border-radius: ${radius}px; }
#notice QLabel { color: $on_notice; }
#notice QPushButton { background: transparent; border-color: transparent; padding: 3px 8px; }
#notice QPushButton { color: $notice_accent; }
#notice QPushButton:hover { background: $notice_hover; }
#notice QPushButton:focus { border-color: $notice_accent; }
#notice QToolButton:hover { background: $notice_hover; }
#banner { background: $wait_ground; border-bottom: 1px solid $banner_edge; }
#syncLine { padding: 3px 9px; text-align: left; border-radius: 5px; }

#syncPanel { background: $ground; }
#card { background: $page; border: 1px solid $line; border-radius: 9px; }
#trouble, #topBanner { background: $wait_ground; border-radius: 6px; }
#topBanner { border-radius: 0; border-bottom: 1px solid $banner_edge; }
#topBanner QLabel { color: $wait; }
#trouble[role="bad"] { background: $bad_ground; }
#trouble[role="bad"] QLabel { color: $bad; }
#trouble QLabel { color: $wait; }
#trouble[role="good"] { background: $good_ground; }
#trouble[role="good"] QLabel { color: $text; }
#chip { background: $ground; color: $soft; border-radius: 5px; padding: 2px 7px; }
#chip[role="good"] { background: $good_ground; color: $good; }
#chip[role="wait"] { background: $wait_ground; color: $wait; }
#log { background: $page; border: 1px solid $line; border-radius: 9px; padding: 4px; }
#log::item { padding: 3px 4px; border: 0; }
#log::item:selected { background: $chosen; color: $text; }
#panelBody { background: $ground; }
#choice { border-radius: 9px; padding: 0; }
#choice:focus { border: 2px solid $accent; }
#choice:disabled { background: $ground; }
QRadioButton { spacing: 8px; }
QRadioButton::indicator { width: 12px; height: 12px; border: 2px solid $idle; border-radius: 8px; }
QRadioButton::indicator { background: $page; }
QRadioButton::indicator:checked { width: 6px; height: 6px; border: 5px solid $accent; }
QRadioButton::indicator:disabled { border-color: $off; }
QRadioButton:focus { color: $accent; text-decoration: underline; }
#nearby { background: $page; border: 1px solid $line; border-radius: 9px; }
QProgressBar { background: $line; border: 0; border-radius: 2px; max-height: 4px; }
QProgressBar::chunk { background: $accent; border-radius: 2px; }
QProgressBar#timeLeft { border-radius: 3px; max-height: 7px; min-height: 7px; }
QProgressBar#timeLeft::chunk { border-radius: 3px; }
QProgressBar[role="wait"]::chunk { background: $wait; }

QScrollBar:vertical { background: transparent; width: 12px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 12px; margin: 0; }
QScrollBar::handle { background: $handle; border-radius: 4px; margin: 2px; }
QScrollBar::handle:vertical { min-height: 32px; }
QScrollBar::handle:horizontal { min-width: 32px; }
QScrollBar::handle:hover { background: $handle_hover; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
"""
