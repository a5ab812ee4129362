"""The pane on the right: the open note with its header and its banner."""

from __future__ import annotations

from PySide6.QtCore import QDate, QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QInputMethodEvent, QKeyEvent
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.notes import Note, NoteRow, Notes
from ui import icons, moments, theme
from ui.editor import NoteEditor
from ui.empty import EmptyPage
from ui.notebanner import NoteBanner
from ui.parts import ElidedWords
from ui.theme import GAP, colours
from ui.titlestyle import TitleStyle

_LOOK_AGAIN = 150
"""Milliseconds between two looks at whether a note is saved, while it is not."""


class NotePane(QWidget):
    """Shows one note, or that none is open.

    While a note is being opened what is typed waits for it, so that nothing goes astray.
    """

    trash_wanted = Signal()
    restore_wanted = Signal()
    saved_changed = Signal()
    """What was written is saved now, or is not."""

    def __init__(self, notes: Notes, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("notePane")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._notes = notes
        self._note: Note | None = None
        self._row: NoteRow | None = None
        self.is_saved = True
        """Whether all that was written in the note is saved, as the header says."""
        self.editor = NoteEditor(self)
        self.editor.setObjectName("editor")
        self.editor.setFont(theme.font(self, scale=1.12))
        self._title_style = TitleStyle(self.editor.document())
        self._type_ahead = TypeAhead(self.editor)
        self.banner = NoteBanner(self)
        self.banner.restore_wanted.connect(self.restore_wanted)
        self.empty = self._build_empty()
        self._build_header()
        self._pages = QStackedWidget(self)
        self._pages.addWidget(self._build_page())
        self._pages.addWidget(self.empty)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._pages)
        self._clock = QTimer(self, interval=_LOOK_AGAIN)
        self._clock.timeout.connect(self.show_saved)
        self.editor.edited.connect(self.show_saved)
        self.show_nothing()

    def _build_page(self) -> QWidget:
        page = QWidget(self)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for widget in (self.header, self.banner, self.editor):
            layout.addWidget(widget)
        layout.setStretch(2, 1)
        return page

    def _build_header(self) -> None:
        self.header = QWidget(self)
        self.header.setObjectName("noteHeader")
        self.header.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.header.setFixedHeight(theme.HEADER)
        self.changed = ElidedWords(role="soft")
        self.saved_mark, self.saved = QLabel(self.header), QLabel(self.header)
        self.saved.setProperty("role", "soft")
        self.where = ElidedWords(role="soft")
        self.where.setAccessibleName(self.tr("Where else this note is"))
        policy = self.where.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # so that nothing moves
        self.where.setSizePolicy(policy)
        self.trash_button = self._button("trash", self.tr("Move to trash"))
        self.trash_button.clicked.connect(self.trash_wanted)
        row = QHBoxLayout(self.header)
        row.setContentsMargins(2 * GAP + 4, 0, GAP, 0)
        row.addWidget(self.changed)
        row.addStretch(1)
        row.addWidget(self.saved_mark)
        row.addWidget(self.saved)
        row.addWidget(self.where)
        row.addSpacing(GAP)
        row.addWidget(self.trash_button)

    def _button(self, icon: str, words: str) -> QToolButton:
        button = QToolButton(self.header)
        button.setIcon(icons.icon(icon))
        button.setIconSize(theme.icon_size())
        button.setToolTip(words)
        button.setAccessibleName(words)
        return button

    def _build_empty(self) -> EmptyPage:
        page = EmptyPage(self)
        page.show_words(
            "notes",
            self.tr("No note is open"),
            self.tr("Choose one, or press Ctrl+N for a new one."),
        )
        return page

    # The note

    def expect(self) -> None:
        """Let go of the note; another one comes, and what is typed meanwhile is for that."""
        self._type_ahead.hold()
        self._let_go()

    @property
    def focus_target(self) -> QWidget | None:
        """What takes the keys of this pane, if a note is open."""
        return None if self._pages.currentWidget() is self.empty else self.editor

    def focus_editor(self) -> None:
        """Put the caret into the text, also of a note that is still being opened."""
        self._pages.setCurrentIndex(0)
        self.editor.setFocus()

    def show_note(self, note: Note, row: NoteRow | None) -> None:
        """Show a note; ``row`` is ``None`` as long as nothing was written in a new one."""
        self._note = note
        self.editor.bind(note.body)
        self._pages.setCurrentIndex(0)
        self.show_row(row)
        self._type_ahead.release()

    def show_nothing(self) -> None:
        """Say that no note is open."""
        self._type_ahead.drop()
        self._let_go()
        self._pages.setCurrentWidget(self.empty)

    def _let_go(self) -> None:
        self._note = None
        self._clock.stop()
        self.editor.unbind()

    def show_row(self, row: NoteRow | None) -> None:
        """Say when the note changed, and what is special about it."""
        self._row = row
        trashed = row is not None and row.trashed
        self.banner.show_row(row)
        self.trash_button.setVisible(row is not None and not trashed)
        self.editor.setReadOnly(trashed or self._note is None)
        if row is None:
            self.changed.setText(self.tr("New note"))
        else:
            when = moments.full(row.changed, QDate.currentDate())
            self.changed.setText(self.tr("Changed {when}").format(when=when))
        self.show_saved()

    @property
    def saved_text(self) -> str:
        """What the header says: ``Saved here``, ``Saving…``, or nothing for an empty new note."""
        return self.saved.text()

    def show_saved(self) -> None:
        """Say whether everything written is on this device's disk."""
        if self._note is None:
            return
        saved = self._notes.saved(self._note)
        new = self._row is None and saved
        self.saved.setText("" if new else self.tr("Saved here") if saved else self.tr("Saving…"))
        mark = icons.pixmap("check", colours.good, 16, self.devicePixelRatioF())
        self.saved_mark.setPixmap(mark)
        self.saved_mark.setVisible(saved and not new)
        if saved:
            self._clock.stop()
        elif not self._clock.isActive():
            self._clock.start()
        if saved != self.is_saved:
            self.is_saved = saved
            self.saved_changed.emit()

    def show_where(self, line: str, more: str) -> None:
        """Say on which other devices the note is, quietly; the tooltip says ``more``."""
        self.where.setVisible(bool(line))
        if line:
            self.where.show_text(f"· {line}")
            self.where.more = more
        self.where.setAccessibleDescription(f"{line}\n{more}".strip())


class TypeAhead(QObject):
    """Keeps what is typed into a widget while it cannot take it, and gives it back later."""

    _TYPES = (QEvent.Type.KeyPress, QEvent.Type.KeyRelease, QEvent.Type.InputMethod)

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        self._kept: list[QEvent] = []
        self._holding = False

    def hold(self) -> None:
        """Keep what is typed from now on."""
        if not self._holding:
            self._holding = True
            self._widget.installEventFilter(self)

    def release(self) -> None:
        """Give back what was typed."""
        kept = self._kept
        self.drop()
        for event in kept:
            QApplication.sendEvent(self._widget, event)

    def drop(self) -> None:
        """Forget what was typed."""
        self._holding, self._kept = False, []
        self._widget.removeEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep keys, also those that an input method made."""
        if not isinstance(event, (QKeyEvent, QInputMethodEvent)) or event.type() not in self._TYPES:
            return False
        self._kept.append(event.clone())
        return True
