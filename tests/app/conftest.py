"""Fixtures that all tests of the app may use."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.app.services import stop_all


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep keys in files: a person's own keyring is not touched."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


@pytest_asyncio.fixture
async def none_left() -> AsyncIterator[None]:
    """Stop the services that a failed test has left running: others would be blamed for them."""
    yield
    await stop_all()
