"""Fixtures that all tests of the window may use."""

from __future__ import annotations

from tests.gui.syncing import on_qt

__all__ = ["on_qt"]
