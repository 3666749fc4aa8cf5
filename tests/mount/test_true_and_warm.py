"""The metadata is true, and warm: large, deep and long-known trees, at the few calls that are promised for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.box import OTHER_TOKEN, Box
from tests.support.mounting import Mounted, eventually

pytestmark = pytest.mark.fuse

LISTING = "GET /2.0/folders/{id}/items"
STAT_MANY = "import os, sys\nfor _ in range(100_000): os.stat(sys.argv[1])"


def calls(box: Box) -> list[str]:
    """All calls of the mount that count: not the long poll, nor how it is set up, nor file bytes."""
    return [
        f"{entry['method']} {entry['template']}"
        for entry in box.log()
        if (entry["agent"] or "").startswith("boxfs/")
        and "/2.0/" in entry["template"]
        and entry["method"] != "OPTIONS"
        and not entry["template"].endswith("/content")
    ]


def act(box: Box, do: str, path: str, **words: Any) -> None:
    """Somebody else does one thing, by path and so at one event."""
    box.call("POST", "/_emulator/act", json={"do": do, "path": path, **words})


def paths(mount: Mounted) -> set[str]:
    """All that the mount shows, as paths at Box."""
    found = set()
    for top, folders, files in os.walk(mount.path):
        found |= {f"/{os.path.relpath(os.path.join(top, name), mount.path)}" for name in folders + files}
    return found


def shown(mount: Mounted, names: Iterable[str]) -> dict[str, int]:
    return {name: os.stat(f"{mount.path}{name}").st_size for name in names}


def listens(box: Box) -> bool:
    return any(entry["method"] == "OPTIONS" for entry in box.log())


def test_a_hundred_thousand_stats_of_a_file_reach_boxfs_once(box: Box, mount: Callable[..., Mounted]) -> None:
    box.upload("/f", b"x")
    mounted = mount()
    path = mounted.path / "f"
    eventually(lambda: path.exists() and listens(box), "the file shows, and no news of it are to come")
    path.stat()
    mounted.signal(signal.SIGSTOP)  # from here on nothing that reaches it is answered
    try:
        stats = subprocess.Popen([sys.executable, "-c", STAT_MANY, str(path)])
        try:
            assert stats.wait(60) == 0
        finally:
            mounted.signal(signal.SIGCONT)
            stats.kill()
            stats.wait()
    finally:
        mounted.signal(signal.SIGCONT)


def test_fifty_thousand_in_a_folder_mounted_below_another(box: Box, mount: Callable[..., Mounted]) -> None:
    box.bulk(items=[(f"/A/B/big/f{number:05}", 1) for number in range(50_000)])
    box.clear_log()
    below = mount(remote="box:/A/B")
    assert os.listdir(below.path) == ["big"]
    names = os.listdir(below.path / "big")
    assert sorted(names) == [f"f{number:05}" for number in range(50_000)]
    assert calls(box).count(LISTING) <= 2 + 1 + 50  # the way there, /A/B, and a page a thousand
    eventually(lambda: listens(box), "the mount listens")
    box.clear_log()
    act(box, "edit", "/A/B/big/f33333", content="longer")
    eventually(lambda: (below.path / "big/f33333").stat().st_size == 6, "the edit shows")
    act(box, "delete", "/A/B/big/f44444")
    eventually(lambda: "f44444" not in os.listdir(below.path / "big"), "the deletion shows")
    assert LISTING not in calls(box)
    below.restart()
    box.clear_log()
    assert len(os.listdir(below.path / "big")) == 49_999
    assert (below.path / "big/f33333").stat().st_size == 6
    assert LISTING not in calls(box)


DEPTH = 120


def test_a_tree_a_hundred_and_twenty_folders_deep(box: Box, mount: Callable[..., Mounted]) -> None:
    deep = "/top" + "".join(f"/d{level:03}" for level in range(1, DEPTH))
    box.bulk(items=[(f"{deep}/file", 1)])
    drive = mount()
    assert paths(drive) == set(box.tree())
    assert len(paths(drive)) == DEPTH + 1
    here = Path(f"{drive.path}{deep}")
    act(box, "edit", f"{deep}/file", content="new at the bottom")
    eventually(lambda: (here / "file").read_bytes() == b"new at the bottom", "an edit at the bottom shows")
    (here / "ours").write_bytes(b"ours")
    drive.sync()
    assert box.tree()[f"{deep}/ours"].size == 4
    box.clear_log()
    act(box, "rename", "/top", name="other")
    moved = Path(f"{drive.path}{deep.replace('/top', '/other', 1)}")
    eventually(lambda: (moved / "ours").exists() and not here.exists(), "all of it is elsewhere")
    assert LISTING not in calls(box)
    drive.restart()
    assert paths(drive) == set(box.tree())
    os.rename(drive.path / "other", drive.path / "ours")
    assert (drive.path / "ours" / moved.relative_to(drive.path / "other") / "ours").read_bytes() == b"ours"
    box.clear_log()
    drive.sync()
    assert [call for call in calls(box) if not call.endswith("/events")] == ["PUT /2.0/folders/{id}"]
    assert paths(drive) == set(box.tree())
    act(box, "delete", "/ours")
    eventually(lambda: paths(drive) == set(), "all of it is gone")


FOLDER = "/data/d000000"
# What somebody else does in a folder of three thousand, beforehand and then, and what shows it.
ONE_CHANGE: dict[str, tuple[Callable[[Box], object], Callable[[Box], object], Callable[[Path], bool]]] = {
    "create": (
        lambda b: None,
        lambda b: act(b, "upload", f"{FOLDER}/new", content="new"),
        lambda m: (m / "new").exists(),
    ),
    "edit": (
        lambda b: None,
        lambda b: act(b, "edit", f"{FOLDER}/f00001.dat", content="longer"),
        lambda m: (m / "f00001.dat").read_bytes() == b"longer",
    ),
    "edit of the same size": (
        lambda b: None,
        lambda b: act(b, "edit", f"{FOLDER}/f00002.dat", content="!"),
        lambda m: (m / "f00002.dat").read_bytes() == b"!",
    ),
    "delete": (
        lambda b: None,
        lambda b: act(b, "delete", f"{FOLDER}/f00003.dat"),
        lambda m: not (m / "f00003.dat").exists(),
    ),
    "rename": (
        lambda b: None,
        lambda b: act(b, "rename", f"{FOLDER}/f00004.dat", name="renamed"),
        lambda m: (m / "renamed").exists() and not (m / "f00004.dat").exists(),
    ),
    "restore": (
        lambda b: act(b, "delete", f"{FOLDER}/f00005.dat"),
        lambda b: act(b, "restore", "", name="f00005.dat"),
        lambda m: (m / "f00005.dat").exists(),
    ),
    "promote": (
        lambda b: act(b, "edit", f"{FOLDER}/f00006.dat", content="second"),
        lambda b: promote(b, f"{FOLDER}/f00006.dat"),
        lambda m: (m / "f00006.dat").stat().st_size == 1,
    ),
    "move of a folder": (
        lambda b: None,
        lambda b: act(b, "move", FOLDER, to="/elsewhere/d000000"),
        lambda m: not m.exists() and (m.parents[1] / "elsewhere/d000000/f02999.dat").exists(),
    ),
}


def promote(box: Box, path: str) -> None:
    entry = box.find(path)
    first = box.versions(path)[0]
    box.call("POST", f"/2.0/files/{entry['id']}/versions/current", json={"type": "file_version", "id": first["id"]})


def test_every_kind_of_change_elsewhere_costs_two_calls_however_large_the_folder(
    box: Box, mount: Callable[..., Mounted]
) -> None:
    box.makedirs("/elsewhere")
    box.bulk(folders=1, files=3_000, size=1, under="/data")
    mounted = mount()
    place = Path(f"{mounted.path}{FOLDER}")
    eventually(place.exists, "the folder shows")
    assert len(os.listdir(place)) == 3_000
    eventually(lambda: listens(box), "the mount listens")
    for name, (before, change, shows) in ONE_CHANGE.items():
        before(box)
        seen = box.tree()
        eventually(lambda seen=seen: paths(mounted) == set(seen), f"all shows before: {name}")  # type: ignore[misc]
        sizes = {path: entry.size for path, entry in seen.items() if entry.kind == "file"}
        eventually(lambda sizes=sizes: shown(mounted, sizes) == sizes, f"as it is: {name}")  # type: ignore[misc]
        box.clear_log()
        change(box)
        eventually(lambda shows=shows: shows(place), f"{name} shows")  # type: ignore[misc]
        spent = [call for call in calls(box) if not call.startswith(("PUT", "POST"))]
        assert len(spent) <= 2, (name, spent)


@pytest.mark.parametrize(("others", "most"), [(0, 2), (1_500, 3)])
def test_a_collaboration_that_is_added_costs_two_calls(
    others: int, most: int, box: Box, mount: Callable[..., Mounted]
) -> None:
    box.bulk(items=[(f"/f{number:04}", 1) for number in range(others)])
    other = box.as_user(OTHER_TOKEN)
    try:
        other.makedirs("/Joint/sub")
        mounted = mount()
        assert len(os.listdir(mounted.path)) == others
        eventually(lambda: listens(box), "the mount listens")
        item = {"type": "folder", "id": other.find("/Joint")["id"]}
        body = {"item": item, "accessible_by": {"type": "user", "id": box.me()["id"]}, "role": "editor"}
        box.clear_log()
        other.call("POST", "/2.0/collaborations", json=body)
        eventually(lambda: "Joint" in os.listdir(mounted.path), "the shared folder shows")
        assert len(os.listdir(mounted.path)) == others + 1
        assert len(calls(box)) <= most, calls(box)  # a page of events, and the root anew: a page a thousand
    finally:
        other.close()


def test_after_a_thousand_changes_of_all_kinds_a_remount_shows_each(box: Box, mount: Callable[..., Mounted]) -> None:
    box.bulk(folders=20, files=50, size=1, under="/data")
    box.makedirs("/data/into")
    mounted = mount()
    eventually(lambda: paths(mounted) == set(box.tree()), "all is known")
    assert mounted.unmount().returncode == 0
    for number, path in enumerate(sorted(path for path, entry in box.tree().items() if entry.kind == "file")):
        kind = number % 5
        if kind == 0:
            act(box, "edit", path, content="e" * (2 + number % 90))
        elif kind == 1:
            act(box, "delete", path)
        elif kind == 2:
            act(box, "rename", path, name=f"renamed{number}")
        elif kind == 3:
            act(box, "move", path, to=f"/data/into/moved{number}")
        else:
            act(box, "upload", f"{path}.new", content="new" * (number % 7))
    box.clear_log()
    mounted.start()
    sizes = {path: entry.size for path, entry in box.tree().items() if entry.kind == "file"}
    eventually(lambda: paths(mounted) == set(box.tree()), "every change of a name is seen")
    assert {path: os.stat(f"{mounted.path}{path}").st_size for path in sizes} == sizes
    eventually(lambda: listens(box), "it has heard of all, and waits for more")
    assert LISTING not in calls(box)
    # 1,200 events, as a move under another name is two: three pages of up to 500, and the end of the stream.
    assert len(calls(box)) <= 4, calls(box)
