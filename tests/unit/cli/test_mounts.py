"""The registry of mounts, and what must be right before one begins."""

import os
from pathlib import Path

import pytest

from boxfs.cli import mounts, places
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.preflight import CacheFolder, check_mountpoint


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
