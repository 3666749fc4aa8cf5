"""Fixtures that all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.box import Box, EmulatorProcess


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """One emulator for all tests of a worker; `box` resets it."""
    with EmulatorProcess(tmp_path_factory.mktemp("emulator") / "data") as process:
        yield process


@pytest.fixture
def box(emulator: EmulatorProcess) -> Iterator[Box]:
    """Someone else at a fresh account of the emulator."""
    client = Box(emulator.url)
    client.reset()
    yield client
    client.close()
