"""The POSIX cases through the whole of boxfs: kernel, core and sync, with the emulator as Box, uploads running."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.posix_cases import CASES, names, run_case
from tests.support.box import EmulatorProcess
from tests.support.mounting import Mounted

pytestmark = pytest.mark.fuse

# As a backup's target is mounted: everything is kept at Box, and the kernel checks who may.
STORE = "attributes=store,default_permissions" + (",allow_other" if os.geteuid() == 0 else "")
# The default options once more, for what depends on them.
AGAIN = [n for n in names() if CASES[n].check.__module__.rpartition(".")[2] in ("attributes", "creating", "mapping")]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """One for this file: the mounts live as long as all of its tests."""
    with EmulatorProcess(tmp_path_factory.mktemp("account") / "data") as emulator:
        yield emulator


def mounted(emulator: EmulatorProcess, home: Path, options: str) -> Iterator[Path]:
    with Mounted(emulator.url, home, options=[options, "drain_timeout=0"]) as drive:
        (drive.path / home.name).mkdir()
        yield drive.path / home.name
        said = [line for line in drive.log.splitlines() if "ERROR" in line or "Traceback" in line]
        assert said == []


@pytest.fixture(scope="module")
def with_store(account: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from mounted(account, tmp_path_factory.mktemp("store"), STORE)


@pytest.fixture(scope="module")
def with_defaults(account: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from mounted(account, tmp_path_factory.mktemp("auto"), "default_permissions")


@pytest.mark.parametrize("name", names())
def test_case_holds_on_boxfs(name: str, with_store: Path) -> None:
    run_case(name, with_store)


@pytest.mark.parametrize("name", AGAIN)
def test_case_holds_with_default_options(name: str, with_defaults: Path) -> None:
    run_case(name, with_defaults)
