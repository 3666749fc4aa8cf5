"""Two people, one file: what each combination of our change and theirs ends in, heard of in time or not.

Nothing that anybody saved is out of reach at the end, and there is no copy without need.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.box import OTHER_TOKEN, Box
from tests.support.mounting import Mounted, eventually

pytestmark = pytest.mark.fuse

BASE, OURS, THEIRS = b"base", b"ours, edited here", b"theirs, edited at Box"
COPY = re.compile(r"^(.*) \(conflicted copy .+\)(\.[^.]*)?$")


def contents(box: Box) -> dict[str, bytes]:
    """Every file at Box; the host and date of conflict copies taken out: "/a/doc (copy).txt"."""
    found = {}
    for path in box.files():
        folder, _, name = path.rpartition("/")
        match = COPY.match(name)
        found[f"{folder}/{match[1]} (copy){match[2] or ''}" if match else path] = box.read(path)
    return found


@pytest.fixture(params=[True, False], ids=["heard", "unheard"])
def heard(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def drive(heard: bool, box: Box, mount: Callable[..., Mounted]) -> Mounted:
    """A mount that sends nothing by itself and has seen /a/doc.txt; unheard: events of the change come too late."""
    box.makedirs("/a")
    box.makedirs("/c")
    box.upload("/a/doc.txt", BASE)
    mounted = mount(options=["settle=600"])
    assert (mounted.path / "a/doc.txt").read_bytes() == BASE
    os.listdir(mounted.path / "c")
    if not heard:
        box.settings(event_delay_s=3600)
    return mounted


# What we do in the mount ...


def edit(mount: Path) -> None:
    (mount / "a/doc.txt").write_bytes(OURS)


def save_by_rename(mount: Path) -> None:
    (mount / "a/.doc.tmp").write_bytes(OURS)
    os.rename(mount / "a/.doc.tmp", mount / "a/doc.txt")


def rename(mount: Path) -> None:
    os.rename(mount / "a/doc.txt", mount / "a/ours.txt")


def edit_and_rename(mount: Path) -> None:
    edit(mount)
    rename(mount)


def delete(mount: Path) -> None:
    os.unlink(mount / "a/doc.txt")


def delete_parent(mount: Path) -> None:
    delete(mount)
    os.rmdir(mount / "a")


def create(mount: Path) -> None:
    (mount / "a/new.txt").write_bytes(OURS)


def create_same(mount: Path) -> None:
    (mount / "a/new.txt").write_bytes(THEIRS)


def make_folder(mount: Path) -> None:
    (mount / "a/new").mkdir()
    (mount / "a/new/ours.txt").write_bytes(OURS)


# ... and what they do at Box meanwhile.


@dataclass(frozen=True)
class Case:
    ours: Callable[[Path], None]
    theirs: Callable[[Box], object]
    end: dict[str, bytes] = field(hash=False)


def _theirs_edit(box: Box) -> object:
    return box.new_version("/a/doc.txt", THEIRS)


def _theirs_same(box: Box) -> object:
    return box.new_version("/a/doc.txt", OURS)


def _theirs_rename(box: Box) -> object:
    return box.rename("/a/doc.txt", "theirs.txt")


def _theirs_move(box: Box) -> object:
    return box.move("/a/doc.txt", "/c")


def _theirs_delete(box: Box) -> None:
    box.delete("/a/doc.txt")


def _theirs_delete_parent(box: Box) -> None:
    box.delete("/a")


def _theirs_create(box: Box) -> object:
    return box.upload("/a/new.txt", THEIRS)


def _theirs_folder(box: Box) -> object:
    box.makedirs("/a/new")
    return box.upload("/a/new/theirs.txt", THEIRS)


def _theirs_describe(box: Box) -> object:
    return box.update("/a/doc.txt", description="a new description, and so a new etag")


CASES = {
    "edit, edited": Case(edit, _theirs_edit, {"/a/doc.txt": THEIRS, "/a/doc (copy).txt": OURS}),
    "saved by rename, edited": Case(save_by_rename, _theirs_edit, {"/a/doc.txt": THEIRS, "/a/doc (copy).txt": OURS}),
    "edit, edited alike": Case(edit, _theirs_same, {"/a/doc.txt": OURS}),
    "edit, described": Case(edit, _theirs_describe, {"/a/doc.txt": OURS}),
    "edit, renamed": Case(edit, _theirs_rename, {"/a/theirs.txt": OURS}),
    "edit, moved": Case(edit, _theirs_move, {"/c/doc.txt": OURS}),
    "edit, deleted": Case(edit, _theirs_delete, {"/a/doc.txt": OURS}),
    "saved by rename, deleted": Case(save_by_rename, _theirs_delete, {"/a/doc.txt": OURS}),
    "edit, parent deleted": Case(edit, _theirs_delete_parent, {"/a/doc.txt": OURS}),
    "rename, edited": Case(rename, _theirs_edit, {"/a/ours.txt": THEIRS}),
    "rename, renamed": Case(rename, _theirs_rename, {"/a/ours.txt": BASE}),
    "rename, deleted": Case(rename, _theirs_delete, {}),
    "edit and rename, edited": Case(edit_and_rename, _theirs_edit, {"/a/doc.txt": THEIRS, "/a/ours.txt": OURS}),
    "delete, edited": Case(delete, _theirs_edit, {"/a/doc.txt": THEIRS}),
    "delete, renamed": Case(delete, _theirs_rename, {}),
    "delete, deleted": Case(delete, _theirs_delete, {}),
    "create, created": Case(
        create, _theirs_create, {"/a/doc.txt": BASE, "/a/new.txt": THEIRS, "/a/new (copy).txt": OURS}
    ),
    "create, created alike": Case(create_same, _theirs_create, {"/a/doc.txt": BASE, "/a/new.txt": THEIRS}),
    "make a folder, made": Case(
        make_folder,
        _theirs_folder,
        {"/a/doc.txt": BASE, "/a/new/ours.txt": OURS, "/a/new/theirs.txt": THEIRS},
    ),
    "create, parent deleted": Case(create, _theirs_delete_parent, {"/a/new.txt": OURS}),
}


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_lost_and_nothing_doubled(name: str, drive: Mounted, box: Box) -> None:
    case = CASES[name]
    case.ours(drive.path)
    case.theirs(box)
    drive.sync()
    assert contents(box) == case.end
    box.settings(event_delay_s=0)
    ends_alike(drive, box)


def ends_alike(drive: Mounted, box: Box) -> None:

    def shown() -> dict[str, bytes] | None:
        found = {}
        try:
            for folder, _, files in os.walk(drive.path):
                for file in files:
                    path = Path(folder, file)
                    found["/" + str(path.relative_to(drive.path))] = path.read_bytes()
        except OSError:  # a file that goes while it is looked at
            return None
        return found

    eventually(lambda: shown() == {path: box.read(path) for path in box.files()}, "the mount shows what Box has")
    assert drive.status()["pending"]["items"] == 0


def test_an_edit_in_a_folder_that_is_deleted_here_wins_if_it_is_heard_of_in_time(
    drive: Mounted, box: Box, heard: bool
) -> None:
    """Else it goes with the folder, whole, to the trash: Box has no guard for what lies below a folder."""
    delete_parent(drive.path)
    _theirs_edit(box)
    if heard:
        eventually((drive.path / "a/doc.txt").exists, "their edit brings the folder back")
    drive.sync()
    if not heard:
        assert contents(box) == {}
        (gone,) = box.trash()
        assert gone["name"] == "a"
        box.call("POST", f"/2.0/folders/{gone['id']}", json={})  # out of the trash
        box.settings(event_delay_s=0)
    assert contents(box) == {"/a/doc.txt": THEIRS}
    ends_alike(drive, box)


def test_an_edit_that_is_still_open_is_weighed_when_it_closes(drive: Mounted, box: Box) -> None:
    with (drive.path / "a/doc.txt").open("r+b") as file:
        file.write(OURS)
        file.flush()
        box.new_version("/a/doc.txt", THEIRS)
        file.seek(0)
        assert file.read(len(OURS)) == OURS
    drive.sync()
    assert contents(box) == {"/a/doc.txt": THEIRS, "/a/doc (copy).txt": OURS}


@pytest.mark.parametrize("name", ["edit, edited", "edit, moved", "edit, parent deleted"])
def test_a_change_that_comes_while_ours_is_on_its_way_up_ends_the_same(name: str, box: Box, tmp_path: Path) -> None:
    box.makedirs("/a")
    box.makedirs("/c")
    box.upload("/a/doc.txt", BASE)
    with Mounted(box.url, tmp_path / "home", options=["settle=0"]) as drive:
        assert (drive.path / "a/doc.txt").read_bytes() == BASE
        os.listdir(drive.path / "c")
        # The upload is held up before Box looks at it; what they do comes first.
        fault = {"method": "POST", "path": r"/files/\d+/content$", "do": "stall", "at": "before", "seconds": 8}
        box.fault(**fault, times=1)
        CASES[name].ours(drive.path)
        eventually(lambda: box.call("GET", "/_emulator/faults")["faults"][0]["fired"], "the upload is under way")
        CASES[name].theirs(box)
        drive.sync()
        assert contents(box) == CASES[name].end


@pytest.mark.parametrize("refusal", ["lock", "rights"])
def test_what_box_refuses_stays_is_shown_and_goes_when_it_may(refusal: str, drive: Mounted, box: Box) -> None:
    other = box.as_user(OTHER_TOKEN)
    try:
        other.makedirs("/Joint")
        other.upload("/Joint/doc.txt", BASE)
        item = {"type": "folder", "id": other.find("/Joint")["id"]}
        who = {"type": "user", "id": box.me()["id"]}
        box.settings(event_delay_s=0)
        made = other.call("POST", "/2.0/collaborations", json={"item": item, "accessible_by": who, "role": "editor"})
        ours = drive.path / "Joint/doc.txt"
        eventually(lambda: ours.exists() and ours.read_bytes() == BASE, "the shared file shows")
        ours.write_bytes(OURS)
        if refusal == "lock":
            other.lock("/Joint/doc.txt")
        else:
            other.call("PUT", f"/2.0/collaborations/{made['id']}", json={"role": "viewer"})
        done = drive.run("sync", "-q", "-t", "60", str(drive.path))
        assert done.returncode != 0
        assert "doc.txt" in done.stderr + done.stdout
        assert ours.read_bytes() == OURS
        assert drive.status()["pending"]["failed"] == 1
        assert other.read("/Joint/doc.txt") == BASE
        if refusal == "lock":
            other.update("/Joint/doc.txt", lock=None)
        else:
            other.call("PUT", f"/2.0/collaborations/{made['id']}", json={"role": "editor"})
        assert drive.run("retry", str(drive.path)).returncode == 0
        drive.sync()
        assert other.read("/Joint/doc.txt") == OURS
    finally:
        other.close()
