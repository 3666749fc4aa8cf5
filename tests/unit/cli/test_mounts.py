"""The registry of mounts, and what must be right before one begins."""

import os
from pathlib import Path

import pytest

from boxfs.cli import mounts, places
from boxfs.cli.cachefolder import ENDING, MOUNTED, STARTING, CacheFolder, Holder
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.preflight import check_mountpoint
from boxfs.fuse import mountpoint


def test_a_mount_finds_itself_by_any_path_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    place = tmp_path / "mnt"
    (place / "a").mkdir(parents=True)
    running = mounts.Running(str(place), "box:/", os.getpid(), "/c", str(mounts.socket_path(place)), 1.0)
    record = mounts.register(running)
    assert mounts.running_mounts() == [running]
    monkeypatch.setattr(mounts.Running, "alive", lambda self: True)
    assert mounts.mount_of(place / "a" / "b") == running
    assert mounts.mount_of(place) == running
    assert mounts.mount_of(tmp_path) is None
    record.write_text("{")
    assert mounts.running_mounts() == []


def test_only_a_boxfs_that_the_kernel_holds_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    place = tmp_path / "mnt"
    mounts.register(mounts.Running(str(place), "box:/", os.getpid(), "/c", str(mounts.socket_path(place)), 1.0))
    cut: list[str] = []

    def abort(device: str) -> bool:
        cut.append(device)
        return False

    monkeypatch.setattr(mountpoint, "abort", abort)
    held, kind = True, "fuse.sshfs"
    monkeypatch.setattr(mountpoint, "mounted_at", lambda path: mountpoint.Mounted(path, kind, "x", "0:7"))
    assert not mounts.running_mounts()[0].is_held()  # it lives
    monkeypatch.setattr(mounts.Running, "is_held", lambda _self: held)
    mounts.cut_killed(place)
    held, kind = False, "fuse.boxfs"
    mounts.cut_killed(place)
    assert cut == []
    held = True
    mounts.cut_killed(place)
    assert cut == ["0:7"]


def test_a_deep_runtime_folder_does_not_break_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("d" * 120)))
    path = mounts.socket_path(Path("/mnt"))
    assert len(os.fsencode(path)) < 108
    path.parent.rmdir()


def test_one_mount_per_cache_folder(tmp_path: Path) -> None:
    first = CacheFolder(tmp_path / "c")
    with pytest.raises(CliError, match=f"in use by process {os.getpid()}") as caught:
        CacheFolder(tmp_path / "c")
    assert caught.value.code == Exit.BUSY
    first.close()
    CacheFolder(tmp_path / "c").close()


def test_a_folder_is_waited_for_while_its_holder_ends(tmp_path: Path) -> None:
    first = CacheFolder(tmp_path / "c")
    first.say(ENDING)
    said: list[str] = []

    def end(line: str) -> None:
        said.append(line)
        first.close()

    CacheFolder(tmp_path / "c", tell=end).close()
    assert said == [f"waiting for process {os.getpid()}, which is still ending"]


def test_a_wait_has_an_end_that_says_what_to_do(tmp_path: Path) -> None:
    first = CacheFolder(tmp_path / "c")
    first.say(ENDING)
    with pytest.raises(CliError, match=f"still ending after 0 s .* `kill {os.getpid()}` ends it") as caught:
        CacheFolder(tmp_path / "c", patience_s=0)
    assert caught.value.code == Exit.BUSY
    first.close()


def test_of_two_who_wait_one_gets_the_folder_and_the_other_is_told(tmp_path: Path) -> None:
    first = CacheFolder(tmp_path / "c")
    first.say(ENDING)
    got: list[CacheFolder] = []

    def overtaken(_line: str) -> None:
        first.close()
        got.append(CacheFolder(tmp_path / "c", "/place"))

    with pytest.raises(CliError, match=f"in use by process {os.getpid()}, about to mount /place; give this one"):
        CacheFolder(tmp_path / "c", tell=overtaken)
    got[0].close()


def test_a_mount_that_is_off_its_place_is_ending_before_it_knows() -> None:
    here = next(one.path for one in mountpoint.mounts())
    assert not Holder(os.getpid(), STARTING, "/nowhere").is_ending()
    assert Holder(os.getpid(), MOUNTED, here).is_ending(), "what lies there is no mount of boxfs"
    assert not Holder(2**22 + 1, MOUNTED, here).is_ending(), "nothing is known of a process elsewhere"


def test_a_cache_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(CliError) as caught:
        CacheFolder(tmp_path / "f" / "c")
    assert caught.value.code == Exit.CANNOT_CREATE


def test_mount_points_that_do_not_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    for name, message in (("none", "does not exist"), ("full", "not empty"), ("full/x", "not a folder")):
        with pytest.raises(CliError, match=message) as caught:
            check_mountpoint(tmp_path / name, nonempty=False)
        assert caught.value.code == Exit.NO_INPUT
    check_mountpoint(tmp_path / "full", nonempty=True)


def test_links_are_followed_everywhere_but_at_the_mount_point_itself(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert places.settled(tmp_path / "link" / "m") == tmp_path / "real" / "m"
    assert places.settled(tmp_path / "link") == tmp_path / "link"
