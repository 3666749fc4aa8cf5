"""An essential walk at a Box that makes the other choice wherever nobody could confirm the first one.

The emulator with each of its switches in the other position, behind tests/support/contrary.py.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.box import OTHER_TOKEN, Box, Refused
from tests.support.contrary import KNOBS, ContraryBox
from tests.support.mounting import Mounted, eventually
from tests.support.saving import PATTERNS

pytestmark = pytest.mark.fuse

LARGE = 21_000_000  # goes in parts


@pytest.fixture
def drive(box: Box, tmp_path: Path) -> Iterator[Mounted]:
    box.makedirs("/many")
    box.bulk(under="/many", folders=1, files=230, size=10)
    box.makedirs("/docs/old")
    for n in range(6):
        box.upload(f"/docs/f{n}", b"text %d" % n)
    box.call("POST", "/2.0/web_links", json={"url": "https://example.com/", "parent": {"id": "0"}, "name": "wiki"})
    with box.knobs(**KNOBS), ContraryBox(box.url) as contrary:
        mount = Mounted(contrary.url, tmp_path / "home", options=("settle=0.2",))
        try:
            yield mount
        finally:
            mount.close()


def shown(mount: Mounted) -> dict[str, bytes]:
    """Path -> content of all that the mount shows, but for the folder of many; {} where something went meanwhile."""
    found: dict[str, bytes] = {}
    try:
        for folder, folders, files in os.walk(mount.path, onerror=_raise):
            folders[:] = [name for name in folders if name != "many"]
            for name in files:
                path = Path(folder, name)
                if path.suffix != ".url":
                    found["/" + str(path.relative_to(mount.path))] = path.read_bytes()
    except OSError:
        return {}
    return found


def _raise(error: OSError) -> None:
    raise error


def held(box: Box) -> dict[str, bytes]:
    return {path: read(box, path) for path in box.files() if not path.startswith("/many/")}


def read(box: Box, path: str) -> bytes:
    """Box may answer the first question for new bytes with 202."""
    with contextlib.suppress(Refused):
        return box.read(path)
    return box.read(path)


def equal(mount: Mounted, box: Box, when: str) -> None:
    want = held(box)
    eventually(lambda: shown(mount) == want, f"the mount equals Box {when}")
    assert mount.status()["pending"] == {"items": 0, "bytes": 0, "failed": 0}
    assert not [path for path in want if "conflicted" in path]


def test_the_mount_is_right_at_a_box_that_does_everything_the_other_way(drive: Mounted, box: Box) -> None:
    at = drive.path
    assert len([p for p in (at / "many").rglob("*") if p.is_file()]) == 230, "pages are shorter than asked for"
    assert (at / "wiki.url").read_bytes()
    equal(drive, box, "at first")

    # Work here
    (at / "docs/new.txt").write_bytes(b"new")
    (at / "docs/f0").write_bytes(b"in place")
    PATTERNS["kate"](at / "docs/f1", b"renamed over")
    (at / "made/deep").mkdir(parents=True)
    os.rename(at / "docs/f2", at / "made/deep/moved and renamed")
    (at / "docs/f3").unlink()
    (at / "gone").mkdir()
    (at / "gone/file").write_bytes(b"x")
    (at / "large").write_bytes(os.urandom(1000) * (LARGE // 1000))
    drive.sync()
    shutil.rmtree(at / "gone")
    with (at / "large").open("r+b") as file:
        file.seek(LARGE // 2)
        file.write(b"a part of it changed")
    (at / "docs/f0").write_bytes(b"in place")  # the same bytes: a Box may make no version of them
    os.chmod(at / "docs/new.txt", 0o755)
    os.symlink("docs/f0", at / "link")
    drive.sync()
    (at / "link").unlink()
    drive.sync()
    equal(drive, box, "after work here")

    # Work elsewhere
    box.upload("/docs/theirs", b"theirs")
    box.new_version("/docs/f0", b"a longer text of theirs")
    box.rename("/docs/f4", "f4 renamed")
    box.move("/docs/f5", "/made", "f5 moved")
    box.delete("/docs/new.txt")
    box.makedirs("/docs/folder/below")
    box.move("/docs/folder", "/made")
    box.delete("/docs/old")
    equal(drive, box, "after work elsewhere")
    box.delete("/docs/theirs")
    eventually(lambda: not (at / "docs/theirs").exists(), "a file in the trash is gone")
    trashed = next(entry for entry in box.trash() if entry["name"] == "theirs")
    box.call("POST", f"/2.0/files/{trashed['id']}", json={})
    equal(drive, box, "after a file came back from the trash")

    # Both at once, and a folder that both make
    with (at / "docs/f1").open("r+b") as file:
        file.write(b"ours")
        box.new_version("/docs/f1", b"theirs")
    box.makedirs("/both")
    (at / "both").mkdir(exist_ok=True)
    (at / "both/ours").write_bytes(b"ours")
    drive.sync()
    kept = {path: content for path, content in held(box).items() if path.startswith(("/docs/f1", "/both"))}
    assert sorted(kept.values()) == [b"ours", b"oursmed over", b"theirs"]
    assert kept["/docs/f1"] == b"theirs"

    drive.restart()
    want = held(box)
    eventually(lambda: shown(drive) == want, "the mount equals Box after a remount")


def test_what_is_shared_and_locked_at_such_a_box(drive: Mounted, box: Box) -> None:
    other = box.as_user(OTHER_TOKEN)
    try:
        other.makedirs("/Joint/sub")
        other.upload("/Joint/sub/plan.txt", b"plan")
        who = {"type": "user", "id": box.me()["id"]}
        item = {"type": "folder", "id": other.find("/Joint")["id"]}
        body = {"item": item, "accessible_by": who, "role": "editor"}
        made = other.call("POST", "/2.0/collaborations", json=body)
        plan = drive.path / "Joint/sub/plan.txt"
        eventually(lambda: plan.exists() and plan.read_bytes() == b"plan", "the shared folder shows")
        other.lock("/Joint/sub/plan.txt")
        eventually(lambda: not writable(plan), "a file that somebody else has locked cannot be written to")
        other.update("/Joint/sub/plan.txt", lock=None)
        eventually(lambda: writable(plan), "it can be written to when the lock is gone")
        plan.write_bytes(b"ours")
        drive.sync()
        assert read(other, "/Joint/sub/plan.txt") == b"ours"
        other.call("DELETE", f"/2.0/collaborations/{made['id']}")
        eventually(lambda: "Joint" not in os.listdir(drive.path), "the shared folder is gone")
    finally:
        other.close()


def writable(path: Path) -> bool:
    try:
        path.open("r+b").close()
    except PermissionError:
        return False
    return True
