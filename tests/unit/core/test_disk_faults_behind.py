"""A step that finds no room on the disk while nobody waits: it is told again, or sent again, and once; nothing is lost.

As test_disk_faults.py, for what the threads do: sending, hearing of news, listing, keeping house.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from boxfs.base.errors import FsError
from boxfs.base.types import ROOT_FOLDER, Kind
from tests.support.drive import ME, Drive
from tests.support.faultydisk import FaultyDisk
from tests.support.memoryremote import MemoryRemote

Step = Callable[[Drive], Any]


def make(folder: Path) -> Drive:
    remote = MemoryRemote()
    below = remote.box.create(Kind.FOLDER, ROOT_FOLDER, "d")
    for name in ("edited", "renamed", "removed", "theirs", "read"):
        remote.box.create(Kind.FILE, below.id, name, name.encode())
    remote.box.create(Kind.FOLDER, ROOT_FOLDER, "unseen")
    remote.box.create(Kind.FILE, remote.box.at("unseen").id, "f", b"f")
    drive = Drive(folder, remote, young_s=1000.0)
    drive.ls("")
    drive.ls("d")
    return drive


def changed_here(drive: Drive) -> None:
    drive.write("new", b"new")
    drive.mkdir("folder")
    drive.write("folder/in it", b"in it")
    drive.write("d/edited", b"edited here")
    drive.rename("d/renamed", "renamed")
    drive.unlink("d/removed")
    drive.fs.setattr(drive.ino("d/read"), mode=0o755, caller=ME)


def changed_elsewhere(drive: Drive) -> None:
    with drive.remote.someone() as box:
        box.overwrite(box.at("d/theirs"), b"edited elsewhere")
        box.change(box.at("d/edited"), name="edited there")
        box.create(Kind.FILE, box.at("d").id, "made there", b"made there")
        box.delete(box.at("d/read"))


def both(drive: Drive) -> None:
    changed_here(drive)
    changed_elsewhere(drive)


def send(drive: Drive) -> None:
    drive.clock.pass_(5)
    drive.push_once()


def sent(drive: Drive) -> None:
    """What was sent is kept no longer: its spool files may go."""
    changed_here(drive)
    drive.push()
    drive.fs.files.drop_retired(1 << 62)


def ask(drive: Drive) -> None:
    drive.incoming.ask_for([drive.remote.box.at("d/theirs").key, drive.remote.box.at("d/made there").key])
    drive.incoming.settle_strays()


CASES: dict[str, tuple[Step, Step]] = {
    "send": (changed_here, send),
    "send what meets news": (both, send),
    "hear": (changed_elsewhere, Drive.hear),
    "hear while things wait": (both, Drive.hear),
    "ask": (changed_elsewhere, ask),
    "list": (lambda _: None, lambda drive: drive.ls("unseen")),
    "keep house": (sent, lambda drive: drive.fs.keep_house()),
}


def settle(drive: Drive) -> None:
    """Let everything go on, with room, until nothing is left to do."""
    for _ in range(60):
        drive.clock.pass_(130)
        drive.hear()
        made = drive.push_once()
        memory = drive.incoming.memory
        if not made and not drive.tree.pending_count() and not memory.strays and not memory.relist:
            break
    else:
        raise AssertionError(f"still pending: {[drive.sync._describe(node) for node in drive.tree.pending()]}")
    assert not memory.busy
    drive.fs.keep_house()


def shown(drive: Drive, folder: str = "") -> dict[str, bytes | None]:
    out: dict[str, bytes | None] = {}
    for name in drive.ls(folder):
        path = f"{folder}/{name}".lstrip("/")
        if drive.node(path).is_folder:
            out[path] = None
            out.update(shown(drive, path))
        else:
            out[path] = drive.read(path)
    return out


def result(drive: Drive) -> tuple[object, ...]:
    """What is at Box in the end, how many versions, and what is in its trash; the mount shows the same."""
    box = drive.remote.box
    assert shown(drive) == box.tree()
    versions = {path: len(box.at(path).versions) for path, data in box.tree().items() if data is not None}
    drive.fs.files.drop_retired(1 << 62)
    assert drive.spooled() == []
    return box.tree(), versions, sorted(held.name for held in box.items.values() if held.trashed)


@pytest.mark.parametrize(("lasting", "crash"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("case", CASES)
def test_what_nobody_waits_for_comes_to_the_same_in_the_end(
    case: str, lasting: bool, crash: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, operation = CASES[case]
    disk = FaultyDisk(monkeypatch)

    def prepared(name: str) -> Drive:
        drive = make(tmp_path / name)
        prepare(drive)
        disk.watch(drive)
        return drive

    drive = prepared("as it should be")
    disk.arm()
    operation(drive)
    disk.disarm()
    steps = disk.steps[:]
    assert steps
    settle(drive)
    wanted = result(drive)
    drive.close()
    for number in range(len(steps)):
        drive = prepared(f"{number}")
        disk.arm(number, lasting=lasting)
        with suppress(FsError):  # the thread that does this logs it, and goes on
            operation(drive)
        disk.disarm()
        if crash:
            drive.crash()
            clock = drive.clock
            drive = Drive(tmp_path / f"{number}", drive.remote, young_s=1000.0)
            drive.clock.now_ns = clock.now_ns
        settle(drive)
        assert result(drive) == wanted, f"{case}: step {number} of {steps}"
        drive.close()
