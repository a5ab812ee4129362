"""What holds for all network tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_stray_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever comes over a socket, nothing raises through to the loop or ends a link by a bug."""
    yield
    records = caplog.get_records("call")
    assert [r.getMessage() for r in records if r.levelno >= logging.WARNING] == []
