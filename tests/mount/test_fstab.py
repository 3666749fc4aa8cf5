"""fstab, mount(8) and an ordinary user, with the programs that a machine really calls.

In a mount namespace of its own: there `boxfs` and `mount.boxfs` stand where an installation puts them.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.mounting import Mounted, eventually

pytestmark = [pytest.mark.fuse, pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount by fstab")]

_ROOT = Path(__file__).parents[2]


def _programs(home: Path) -> Path:
    folder = home / "programs"
    folder.mkdir()
    for name, module in (("boxfs", "boxfs"), ("mount.boxfs", "boxfs.cli.mount_helper")):
        program = folder / name
        program.write_text(f'#!/bin/sh\nPYTHONPATH={_ROOT} exec {sys.executable} -m {module} "$@"\n')
        program.chmod(0o755)
    return folder


def _in_a_namespace(m: Mounted, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "--mount", "sh", "-ec", script],
        env={**m.env, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "BOXFS_API_URL": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def m(box: Box, tmp_path: Path) -> Mounted:
    box.upload("/there.txt", b"from Box")
    made = Mounted(box.url, tmp_path, start=False)
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("dev-token\n")
    made.options = (
        "noauto,_netdev,noatime,x-systemd.automount",
        f"api_url={box.url},token_file={token},cache_dir={made.cache_dir}",
    )
    return made


@pytest.mark.parametrize("kind", ["boxfs", "fuse.boxfs"])
def test_a_line_in_fstab_mounts_and_umount_sends(m: Mounted, box: Box, kind: str) -> None:
    possible = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    if possible.returncode:
        pytest.skip(f"this machine lets us make no mount namespace: {possible.stderr.strip()}")
    programs = _programs(m.home)
    (m.home / "fstab").write_text(f"box: {m.path} {kind} {','.join(m.options)} 0 0\n")
    done = _in_a_namespace(
        m,
        f"""
        mount --make-rprivate /
        for folder in /usr/local/bin /usr/sbin; do
            mount -t overlay overlay -o lowerdir={programs}:$folder $folder 2>{m.home}/overlay || exit 77
        done
        mount -T {m.home}/fstab {m.path}
        cat {m.path}/there.txt
        grep ' {m.path} ' /proc/self/mounts
        echo mine > {m.path}/mine.txt
        umount {m.path}
        """,
    )
    if done.returncode == 77:
        pytest.skip(f"no overlay here: {(m.home / 'overlay').read_text().strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("from Box")
    assert f"box:/ {m.path} fuse.boxfs rw,nosuid,nodev,noatime" in done.stdout
    eventually(lambda: "/mine.txt" in box.files(), "umount(8) returned at once, and boxfs sent what was pending")


def test_mount_8_hears_what_is_wrong_in_its_own_codes(m: Mounted) -> None:
    helper = [sys.executable, "-m", "boxfs.cli.mount_helper"]
    for arguments, code, message in (
        (["box:", str(m.path), "-o", "nonsense"], 1, "unknown option 'nonsense'"),
        (["box:/No/Such", str(m.path), "-o", ",".join(m.options)], 32, "does not exist at Box"),
        (["box:", str(m.path / "none"), "-o", ",".join(m.options)], 32, "does not exist"),
    ):
        done = subprocess.run([*helper, *arguments], env=m.env, capture_output=True, text=True, check=False)
        assert (done.returncode, len(done.stderr.splitlines())) == (code, 1), done.stderr
        assert done.stderr.startswith("mount.boxfs: ")
        assert message in done.stderr


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_an_ordinary_user_mounts_and_nobody_else_looks_in(box: Box, tmp_path: Path) -> None:
    uid = 65534
    as_user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    can_run = subprocess.run([*as_user, sys.executable, "-c", "import boxfs, click, mfusepy"], cwd="/", check=False,
                             env={"PYTHONPATH": str(_ROOT)}, capture_output=True)  # fmt: skip
    can_mount = os.stat("/dev/fuse").st_mode & 0o006 == 0o006
    if can_run.returncode or not can_mount:
        pytest.skip("this Python is not for other users to run, or /dev/fuse not for them to open")
    box.upload("/there.txt", b"from Box")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    home = tmp_path / "home"
    home.mkdir()
    m = Mounted(box.url, home, start=False, env={"PYTHONPATH": str(_ROOT), "HOME": str(home)})
    for path in (home, *home.rglob("*")):
        os.chown(path, uid, uid)

    def boxfs(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*as_user, sys.executable, "-m", "boxfs", *arguments]
        return subprocess.run(command, env=m.env, cwd="/", capture_output=True, text=True, timeout=120, check=False)

    try:
        done = boxfs("mount", "--cache-dir", str(m.cache_dir), "box:", str(m.path))
        assert done.returncode == 0, done.stderr
        look = subprocess.run([*as_user, "cat", str(m.path / "there.txt")], capture_output=True, text=True, check=False)
        assert look.stdout == "from Box"
        with pytest.raises(PermissionError):
            os.listdir(m.path)  # not even root
        write = ["sh", "-c", f"echo mine > {m.path}/mine.txt"]
        assert subprocess.run([*as_user, *write], check=False).returncode == 0
        done = boxfs("umount", str(m.path))
        assert done.returncode == 0, done.stderr
        assert "/mine.txt" in box.files()
    finally:
        subprocess.run(["umount", "-l", str(m.path)], capture_output=True, check=False)
