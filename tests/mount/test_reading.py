"""Reading through the mount: what programs get, and what it costs at Box."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.downloads import content
from tests.support.mounting import Mounted, eventually

pytestmark = pytest.mark.fuse

MIB = 1 << 20
API_CALL, LISTING = "GET /2.0/files/{id}/content", "GET /2.0/folders/{id}/items"


def test_cat_of_a_folder_asks_once_for_each_file(box: Box, mount: Callable[..., Mounted]) -> None:
    box.mkdir("/many")
    files = {f"f{n:03}": content(10_000, n) for n in range(60)}
    for name, data in files.items():
        box.upload(f"/many/{name}", data)
    mounted = mount()
    eventually(lambda: len(os.listdir(mounted.path / "many")) == 60, "the files are listed")
    box.clear_log()
    out = subprocess.run("cat *", shell=True, cwd=mounted.path / "many", capture_output=True, check=True, timeout=120)
    assert out.stdout == b"".join(files[name] for name in sorted(files))
    assert box.calls()[API_CALL] == 60


def test_grep_through_folders_asks_once_for_each_file_and_folder(box: Box, tmp_path: Path) -> None:
    for folder in range(8):
        box.mkdir(f"/d{folder}")
        for n in range(6):
            box.upload(f"/d{folder}/f{n}", f"needle {folder} {n}\n".encode() * 50)
    with Mounted(box.url, tmp_path) as mounted:
        box.clear_log()
        command = ["grep", "-rl", "needle", "."]
        out = subprocess.run(command, cwd=mounted.path, capture_output=True, check=True, text=True, timeout=120)
        assert len(out.stdout.splitlines()) == 48
        assert box.calls()[API_CALL] == 48
        assert box.calls()[LISTING] <= 9


def test_a_large_file_costs_one_call_and_a_remount_none(box: Box, tmp_path: Path) -> None:
    data = content(24 * MIB)
    box.upload("/large", data)
    with Mounted(box.url, tmp_path) as mounted:
        box.clear_log()
        assert (mounted.path / "large").read_bytes() == data
        assert box.calls()[API_CALL] == 1
    with Mounted(box.url, tmp_path) as mounted:
        box.clear_log()
        assert (mounted.path / "large").read_bytes() == data
        assert API_CALL not in box.calls()
        assert "GET /dl" not in box.calls()


def test_many_readers_of_many_files_get_their_own(box: Box, mounted: Mounted) -> None:
    contents = [content(3 * MIB + n, n) for n in range(8)]
    for n, data in enumerate(contents):
        box.upload(f"/f{n}", data)
    eventually(lambda: len(os.listdir(mounted.path)) == 8, "the files are listed")
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: (mounted.path / f"f{n % 8}").read_bytes(), range(16)))
    for n, data in enumerate(got):
        assert data == contents[n % 8]


def test_a_stat_and_a_small_read_do_not_wait_for_eight_large_reads(box: Box, mounted: Mounted) -> None:
    """Eight files over lines so slow that they take a minute: what is small comes before any of them ends."""
    large = {f"large{n}": content(8 * MIB + n, n) for n in range(8)}
    for name, data in large.items():
        box.upload(f"/{name}", data)
    for n in range(5):
        box.upload(f"/small{n}", content(5000, 90 + n))
    eventually(lambda: len(os.listdir(mounted.path)) == 13, "the files are listed")
    box.settings(bandwidth=64 * 1024)
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit((mounted.path / name).read_bytes) for name in large]
        try:
            eventually(lambda: box.calls().get(API_CALL, 0) >= 8, "all eight are under way")
            for n in range(5):
                assert os.stat(mounted.path / f"small{n}").st_size == 5000
                assert (mounted.path / f"small{n}").read_bytes() == content(5000, 90 + n)
            assert not any(each.done() for each in running)
        finally:
            box.settings(bandwidth=0)
        for each, data in zip(running, large.values(), strict=True):
            assert each.result(120) == data


def test_random_places_are_right_and_cheap(box: Box, mounted: Mounted) -> None:
    data = content(32 * MIB)
    box.upload("/large", data)
    eventually(lambda: (mounted.path / "large").exists(), "the file is listed")
    box.clear_log()
    with (mounted.path / "large").open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for at in (31 * MIB, 5 * MIB + 17, 20 * MIB, 12345, 9 * MIB):
            assert os.pread(file.fileno(), 4096, at) == data[at : at + 4096]
    sent = sum(entry["bytes_out"] for entry in box.log() if entry["path"].startswith("/dl"))
    assert sent <= 3 * MIB


def test_a_save_by_others_does_not_reach_an_open_file_and_the_next_open_sees_it(box: Box, mounted: Mounted) -> None:
    old, new = content(5 * MIB, 1), content(5 * MIB, 2)
    box.upload("/f", old)
    eventually(lambda: (mounted.path / "f").exists(), "the file is listed")
    with (mounted.path / "f").open("rb", buffering=0) as file:
        head = file.read(MIB)
        box.new_version("/f", new)
        rest = b"".join(iter(lambda: file.read(MIB), b""))
    assert hashlib.sha1(head + rest).digest() == hashlib.sha1(old).digest()
    eventually(lambda: (mounted.path / "f").read_bytes() == new, "the new content is there")


def test_wrong_bytes_are_an_error_and_do_not_stay_in_the_kernel(box: Box, mounted: Mounted) -> None:
    """They were shown, but for the last of them, before the sha1 was known.

    The kernel asks again, page by page, for what it was refused: who has the file open must not get right bytes behind
    the wrong ones.  Who opens it again gets the right ones.
    """
    data = content(6 * MIB)
    box.upload("/f", data)
    eventually(lambda: (mounted.path / "f").exists(), "the file is listed")
    box.fault(path="^/dl", do="corrupt", times=1)
    with pytest.raises(OSError, match="Input/output error"):
        (mounted.path / "f").read_bytes()
    for _ in range(2):
        assert (mounted.path / "f").read_bytes() == data


def test_an_indexer_gets_cached_files_only(box: Box, tmp_path: Path) -> None:
    box.upload("/f", content(10_000))
    program = os.path.basename(os.path.realpath(sys.executable))
    with Mounted(box.url, tmp_path, options=[f"cached_only={program}:tracker"]) as mounted:
        box.clear_log()
        index = [sys.executable, "-c", "import sys; open(sys.argv[1], 'rb').read()", str(mounted.path / "f")]
        out = subprocess.run(index, capture_output=True, text=True, timeout=60)
        assert "PermissionError" in out.stderr
        assert API_CALL not in box.calls()
        subprocess.run(["cat", str(mounted.path / "f")], capture_output=True, check=True, timeout=60)
        assert subprocess.run(index, timeout=60).returncode == 0


def test_what_is_pinned_is_read_without_box(box: Box, tmp_path: Path) -> None:
    box.mkdir("/p")
    files = {f"f{n}": content(300_000, n) for n in range(5)}
    for name, data in files.items():
        box.upload(f"/p/{name}", data)
    with Mounted(box.url, tmp_path) as mounted:
        told = mounted.run("pin", str(mounted.path / "p"))
        assert "5 files" in told.stdout
        box.clear_log()
        for name, data in files.items():
            assert (mounted.path / "p" / name).read_bytes() == data
        assert API_CALL not in box.calls()
        assert mounted.run("evict", str(mounted.path / "p")).returncode != 0
        mounted.run("unpin", str(mounted.path / "p"))
        assert "5 files" in mounted.run("evict", str(mounted.path / "p")).stdout


def test_what_was_written_here_is_not_fetched(box: Box, tmp_path: Path) -> None:
    data = content(2 * MIB)
    with Mounted(box.url, tmp_path) as mounted:
        (mounted.path / "mine").write_bytes(data)
        mounted.sync()
    with Mounted(box.url, tmp_path) as mounted:
        box.clear_log()
        assert (mounted.path / "mine").read_bytes() == data
        assert API_CALL not in box.calls()


def test_a_cache_on_a_full_disk_makes_reads_slower_not_wrong(box: Box, tmp_path: Path) -> None:
    data = content(12 * MIB)
    box.upload("/large", data)
    disk = tmp_path / "cache" / "blocks"
    disk.mkdir(parents=True)
    small = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if subprocess.run(small, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        with Mounted(box.url, tmp_path) as mounted:
            assert (mounted.path / "large").read_bytes() == data
            mounted.unmount()
    finally:
        subprocess.run(["umount", str(disk)], capture_output=True, check=True)
