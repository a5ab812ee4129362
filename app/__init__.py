"""Lim Notes without a window: notes, the sync service and its status facts, the command line."""

from __future__ import annotations

VERSION = "0.1.0"
