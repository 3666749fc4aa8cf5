"""One emulator for all tests of the client; each test begins with a fresh account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.box import Box, EmulatorProcess


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tmp_path_factory.mktemp("emulator") / "data") as process:
        yield process


@pytest.fixture
def box(emulator: EmulatorProcess) -> Iterator[Box]:
    """Somebody else at work on the account, without any code of ours."""
    someone = Box(emulator.url)
    someone.reset()
    yield someone
    someone.close()
