"""Fixtures that all tests share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support.box import Box, EmulatorProcess
from tests.support.mounting import Mounted

# The same examples in every run, on every machine: a test that is green stays green.  BOXFS_FUZZ=1 looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None, database=None)
settings.register_profile("fuzz", deadline=None, print_blob=True)
settings.load_profile("fuzz" if os.environ.get("BOXFS_FUZZ") else "same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real mounts need /dev/fuse; a machine without it says so, once for each test."""
    if os.access("/dev/fuse", os.R_OK | os.W_OK):
        return
    for item in items:
        if item.get_closest_marker("fuse") is not None:
            item.add_marker(pytest.mark.skip(reason="MOUNTS NOT TESTED: /dev/fuse cannot be opened here"))


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


@pytest.fixture
def mount(box: Box, tmp_path: Path) -> Iterator[Callable[..., Mounted]]:
    """Make mounts of the account, each with a home of its own, ready; arguments as of Mounted.  All are cleaned up."""
    made: list[Mounted] = []

    def make(name: str = "", **arguments: Any) -> Mounted:
        home = tmp_path / (name or f"mount{len(made)}")
        home.mkdir(exist_ok=True)
        made.append(Mounted(box.url, home, **{**arguments, "start": False}))
        if arguments.get("start", True):
            made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def mounted(mount: Callable[..., Mounted]) -> Mounted:
    """A mount of the whole account."""
    return mount()


@pytest.fixture(scope="module")
def emulator_of_module(emulator: EmulatorProcess) -> Iterator[Box]:
    """A fresh account for a whole file of tests, which must not use `box` as well."""
    client = Box(emulator.url)
    client.reset()
    yield client
    client.close()
