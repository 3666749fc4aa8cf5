from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.drive import Drive
from tests.support.memoryremote import MemoryRemote
from tests.support.syncing import Machine


@pytest.fixture
def remote() -> MemoryRemote:
    return MemoryRemote()


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Drive]:
    drive = Drive(tmp_path)
    yield drive
    drive.close()


@pytest.fixture
def here(remote: MemoryRemote, tmp_path: Path) -> Iterator[Machine]:
    """A mount's machine that has listed its empty root."""
    machine = Machine(remote, tmp_path / "state")
    machine.list_all()
    remote.calls.clear()
    yield machine
    machine.close()
