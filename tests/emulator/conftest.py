"""Every reply that a test of the emulator gets is validated against Box's OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.box import Box
from tests.support.contract import Contract


@pytest.fixture(scope="session", autouse=True)
def contract() -> Iterator[Contract]:
    found = Contract()
    Box.watch = staticmethod(found.check)
    yield found
    Box.watch = None
