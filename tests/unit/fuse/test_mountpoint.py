"""The mount table as the kernel writes it, and the options as libfuse reads them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from boxfs.fuse import mountpoint
from boxfs.fuse.mountpoint import Mounted, mounted_at, mounts, real_path
from boxfs.fuse.options import MountOptions


def test_blanks_and_backslashes_of_the_table_are_read(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 0:20 / /proc rw - proc proc rw\n"
        r"42 27 0:39 / /mnt/my\040box\134x rw,nosuid shared:7 - fuse.boxfs box:/A\040b rw,user_id=0" + "\n"
        "short line\n"
    )
    found = mounts(str(table))
    assert [(mounted.path, mounted.kind, mounted.source, mounted.device) for mounted in found] == [
        ("/proc", "proc", "proc", "0:20"),
        ("/mnt/my box\\x", "fuse.boxfs", "box:/A b", "0:39"),
    ]


def test_root_is_a_mount_and_a_plain_folder_is_none(tmp_path: Path) -> None:
    assert mounted_at("/") is not None
    assert mounted_at(str(tmp_path)) is None


def test_real_path_follows_links(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    assert real_path(str(tmp_path / "link")) == str(tmp_path.resolve() / "there")
    assert real_path(str(tmp_path / "link" / "none")) == str(tmp_path.resolve() / "there" / "none")


def test_below_an_automount_nothing_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would wait for the mount that waits for it (x-systemd.automount; found by scripts/drill-debian)."""
    automount = Mounted(str(tmp_path), "autofs", "systemd-1", "0:40")
    monkeypatch.setattr(mountpoint, "mounted_at", lambda _path: automount)
    monkeypatch.setattr(os, "scandir", lambda _path: pytest.fail("this would hang"))
    assert mountpoint.prepare(str(tmp_path), subtype="boxfs", nonempty=False) == str(tmp_path.resolve())


def test_options_are_spelled_as_libfuse_reads_them() -> None:
    options = MountOptions(fsname=r"box:/A,b\c", allow_other=True, read_only=True, extra=("noatime",))
    assert options.for_libfuse() == [r"fsname=box:/A\,b\\c", "subtype=boxfs", "allow_other", "ro", "noatime"]
