"""The programs that people use first: cp, rsync, git, tar, sha256sum, straight on the mount."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.mounting import Mounted

pytestmark = pytest.mark.fuse

KILLS = int(os.environ.get("BOXFS_KILLS", "5"))

GIT = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "protocol.file.allow=always",
       "-c", "init.defaultBranch=main", "-c", "advice.detachedHead=false")  # fmt: skip


def run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=170, check=False, stdin=subprocess.DEVNULL,
        env=os.environ | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"} | (env or {}),
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def make_tree(folder: Path, folders: int, files: int) -> dict[str, bytes]:
    """A tree of small files; relative path -> content."""
    contents: dict[str, bytes] = {}
    for n in range(files):
        relative = f"d{n % folders:02}/file {n:03}.txt"
        contents[relative] = f"file {n}\n".encode() * (n + 1)
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[relative])
        os.utime(path, (1_600_000_000 + n, 1_600_000_000 + n))
    return contents


def read_tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def sha1s(contents: dict[str, bytes], below: str) -> dict[str, str]:
    return {f"{below}/{p}": hashlib.sha1(c, usedforsecurity=False).hexdigest() for p, c in contents.items()}


def test_cp_r_arrives_whole(box: Box, tmp_path: Path) -> None:
    contents = make_tree(tmp_path / "source", 4, 30)
    with Mounted(box.url, tmp_path / "home") as drive:
        run("cp", "-r", str(tmp_path / "source"), str(drive.path / "copy"))
        assert read_tree(drive.path / "copy") == contents
        drive.sync()
        assert box.files() == sha1s(contents, "/copy")


def test_a_second_rsync_transfers_nothing(box: Box, tmp_path: Path) -> None:
    contents = make_tree(tmp_path / "source", 4, 30)
    command = ("rsync", "-a", "--stats", f"{tmp_path}/source/")
    with Mounted(box.url, tmp_path / "home") as drive:
        target = str(drive.path / "copy")
        run(*command, target)
        assert "Number of regular files transferred: 0" in run(*command, target)
        drive.restart()
        assert "Number of regular files transferred: 0" in run(*command, target)
        assert box.files() == sha1s(contents, "/copy")
    with Mounted(box.url, tmp_path / "elsewhere") as other:
        assert "Number of regular files transferred: 0" in run(*command, str(other.path / "copy"))


def test_a_git_clone_takes_a_commit_and_is_found_sound_elsewhere(box: Box, tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    make_tree(origin, 3, 20)
    script = origin / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    (origin / "link").symlink_to("run.sh")
    run(*GIT, "init", "-q", cwd=origin)
    run(*GIT, "add", "-A", cwd=origin)
    run(*GIT, "commit", "-qm", "first", cwd=origin)
    with Mounted(box.url, tmp_path / "home") as drive:
        clone = drive.path / "clone"
        run(*GIT, "clone", "-q", str(origin), str(clone))
        (clone / "new.txt").write_text("new\n")
        run(*GIT, "add", "-A", cwd=clone)
        run(*GIT, "commit", "-qm", "second", cwd=clone)
        run(*GIT, "gc", "-q", cwd=clone)
        run(*GIT, "fsck", "--strict", cwd=clone)
        assert run(*GIT, "status", "--porcelain", cwd=clone) == ""
        drive.sync()
    with Mounted(box.url, tmp_path / "elsewhere") as other:
        clone = other.path / "clone"
        run(*GIT, "fsck", "--strict", cwd=clone)
        assert run(*GIT, "status", "--porcelain", cwd=clone, env={"GIT_OPTIONAL_LOCKS": "0"}) == ""
        assert run(*GIT, "log", "--format=%s", cwd=clone).split() == ["second", "first"]
        assert os.access(clone / "run.sh", os.X_OK)
        assert os.readlink(clone / "link") == "run.sh"


def test_tar_unpacks_and_packs_the_same(box: Box, tmp_path: Path) -> None:
    contents = make_tree(tmp_path / "source", 3, 20)
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "source", "source")
    with Mounted(box.url, tmp_path / "home") as drive:
        run("tar", "xf", str(archive), "-C", str(drive.path))
        run("tar", "cf", str(drive.path / "back.tar"), "-C", str(drive.path), "source")
        drive.sync()
        run("tar", "df", str(archive), "-C", str(drive.path))
        assert read_tree(drive.path / "source") == contents
        assert {p: s for p, s in box.files().items() if p.startswith("/source/")} == sha1s(contents, "/source")


def test_two_hundred_megabytes_come_back_after_a_remount(box: Box, tmp_path: Path) -> None:
    block = os.urandom(1 << 20)
    digest = hashlib.sha256()
    with Mounted(box.url, tmp_path / "home") as drive:
        with (drive.path / "big.bin").open("wb") as file:
            for n in range(200):
                part = n.to_bytes(8, "big") + block[8:]
                digest.update(part)
                file.write(part)
        assert drive.unmount().returncode == 0
        assert box.tree()["/big.bin"].size == 200 << 20
        shutil.rmtree(drive.cache_dir)  # so that it is read from Box
        drive.start()
        assert run("sha256sum", str(drive.path / "big.bin")).split()[0] == digest.hexdigest()


def test_one_new_small_file_is_one_call_however_it_is_copied(box: Box, tmp_path: Path) -> None:
    source = tmp_path / "report.txt"
    source.write_text("report\n")
    os.utime(source, (1_500_000_000, 1_500_000_000))
    with Mounted(box.url, tmp_path / "home") as drive:
        os.listdir(drive.path)
        for command, name in ((("cp", "-p"), "cp.txt"), (("rsync", "-a"), "rsync.txt"), (("cp",), "plain.txt")):
            box.clear_log()
            run(*command, str(source), str(drive.path / name))
            drive.sync()
            assert box.mount_calls() == ["POST /api/2.0/files/content"]
        times = {e["name"]: e["content_modified_at"] for e in box.entries("0", "name,content_modified_at")}
        assert times["cp.txt"] == times["rsync.txt"] != times["plain.txt"]


def test_ls_lr_is_one_listing_a_folder(box: Box, tmp_path: Path) -> None:
    for a in range(3):
        box.makedirs(f"/a{a}/b")
        box.upload(f"/a{a}/b/file", b"x")
    box.clear_log()
    with Mounted(box.url, tmp_path / "home") as drive:
        out = run("ls", "-lR", str(drive.path))
        assert out.count("file") == 3
        assert box.mount_calls().count("GET /2.0/folders/{id}/items") == 7
        box.clear_log()
        assert run("ls", "-lR", str(drive.path)) == out
        assert box.mount_calls() == []


@pytest.mark.timeout(180 + 20 * KILLS)
def test_kill_9_in_the_line_of_cp_loses_nothing(box: Box, tmp_path: Path) -> None:
    copies = KILLS
    source = tmp_path / "source.bin"
    drive = Mounted(box.url, tmp_path / "home")
    try:
        for n in range(copies):
            content = os.urandom(10_000 + n)
            source.write_bytes(content)
            run("sh", "-c", f'cp "{source}" "{drive.path}/f{n}" && kill -9 {drive.pid}')
            drive.ended()
            drive.close()
            drive.start()
            assert (drive.path / f"f{n}").read_bytes() == content
        drive.sync()
        assert len(box.files()) == copies
    finally:
        drive.close()
