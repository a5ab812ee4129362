"""Moments in the words and the formats of the person's locale, as short as they can be."""

from __future__ import annotations

from PySide6.QtCore import QDate, QDateTime, QLocale


def short(changed: int, today: QDate) -> str:
    """A moment for a list: ``14:02``, ``Yesterday``, ``Tuesday``, ``12 Mar``, ``12 Mar 2024``.

    ``changed`` in Unix milliseconds.
    """
    moment = QDateTime.fromMSecsSinceEpoch(changed)
    locale, date = QLocale(), moment.date()
    days = date.daysTo(today)
    if days == 0:
        return locale.toString(moment.time(), QLocale.FormatType.ShortFormat)
    if days == 1:
        return "Yesterday"
    if 1 < days < 7:
        return locale.dayName(date.dayOfWeek(), QLocale.FormatType.LongFormat)
    return locale.toString(date, "d MMM" if date.year() == today.year() else "d MMM yyyy")


def full(changed: int, today: QDate) -> str:
    """A moment in a sentence: ``today at 14:02``, ``yesterday at …``, ``on 12 March 2024 at …``."""
    moment = QDateTime.fromMSecsSinceEpoch(changed)
    locale, date = QLocale(), moment.date()
    days = date.daysTo(today)
    day = {0: "today", 1: "yesterday"}.get(days) or f"on {locale.toString(date, 'd MMMM yyyy')}"
    return f"{day} at {locale.toString(moment.time(), QLocale.FormatType.ShortFormat)}"
