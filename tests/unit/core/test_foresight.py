"""Foresight: what is opened in a row comes ahead, and some programs get only what is here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxfs.base.types import ROOT_FOLDER, ROOT_INO, Kind
from boxfs.core.foresight import Foresight, runs_one_of
from boxfs.core.reading import NotCached, Reading
from boxfs.core.surroundings import version_of
from boxfs.store.blocks import Blocks
from tests.support.downloads import content
from tests.support.memoryremote import MemoryRemote
from tests.support.syncing import Machine
from tests.support.waiting import until


class Setup:
    def __init__(self, remote: MemoryRemote, folder: Path) -> None:
        self.machine = Machine(remote, folder / "state")
        self.machine.list()
        self.blocks = Blocks(folder / "blocks", 64 << 20)
        self.reading = Reading(remote, self.blocks)
        self.programs: tuple[str, ...] = ()
        self.foresight = Foresight(
            self.machine.tree, self.reading, self.machine.sync.incoming.listed, lambda: self.programs
        )

    def open(self, path: str) -> None:
        self.foresight.opens(self.machine.node(path), os.getpid())

    def cached(self, path: str) -> int:
        version = version_of(self.machine.node(path))
        assert version is not None
        return self.reading.cached_bytes(version)

    def close(self) -> None:
        self.foresight.close()
        self.reading.close()
        self.blocks.close()
        self.machine.close()


@pytest.fixture
def setup(remote: MemoryRemote, tmp_path: Path) -> Iterator[Setup]:
    for n in range(20):
        remote.box.create(Kind.FILE, ROOT_FOLDER, f"f{n:02}", content(1000, n))
        folder = remote.box.create(Kind.FOLDER, ROOT_FOLDER, f"d{n:02}").id
        remote.box.create(Kind.FILE, folder, "inside", content(1000, n))
    made = Setup(remote, tmp_path)
    yield made
    made.close()


def test_files_opened_in_a_row_bring_their_neighbours(setup: Setup) -> None:
    for n in range(3):
        setup.open(f"f{n:02}")
    until(lambda: sum(setup.cached(f"f{n:02}") for n in range(20)) == 4000)


def test_folders_opened_in_a_row_bring_their_neighbours(setup: Setup) -> None:
    setup.foresight.lists(ROOT_INO)
    for n in range(2):
        setup.foresight.lists(setup.machine.node(f"d{n:02}").ino)
    until(lambda: sum(setup.machine.node(f"d{n:02}").complete for n in range(20)) == 4)


def test_named_programs_get_cached_files_only(setup: Setup) -> None:
    setup.programs = ("no-such-program",)
    setup.open("f01")
    setup.programs = ("no-such-program", *(os.path.basename(os.readlink("/proc/self/exe")),))
    with pytest.raises(NotCached):
        setup.open("f01")
    version = version_of(setup.machine.node("f01"))
    assert version is not None
    setup.reading.fetch_all(version)
    setup.open("f01")
    for n in range(2, 6):
        with pytest.raises(NotCached):
            setup.open(f"f{n:02}")
    assert setup.machine.remote is not None


def test_a_process_that_is_gone_has_no_name() -> None:
    assert not runs_one_of(2**22 + 5, {"anything"})
