"""Mount points: is this one fit, is a dead mount lying on it, how does a mount come off.

A daemon that was killed leaves its mount: every access answers ENOTCONN.  A new mount would be stacked over it, so it
is detached first.  Source: mount(8), fusermount3(1), proc_pid_mountinfo(5).
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from boxfs.base.errors import FsError
from boxfs.fuse.library import FuseMissing

_MNT_DETACH = 2  # umount2(2)
_HELPER_TIMEOUT_S = 30


class MountError(FsError):
    """Cannot mount, or unmount, here; the message says why and what to do."""

    errno = errno.EINVAL
    exit_code = 32  # mount(8): mount failure


@dataclass(frozen=True, slots=True)
class Mounted:
    """A line of mountinfo.  device: "0:45"; its second number names the connection in /sys/fs/fuse."""

    path: str
    kind: str
    source: str
    device: str


def mounts(table: str = "/proc/self/mountinfo") -> list[Mounted]:
    found = []
    for line in Path(table).read_bytes().splitlines():
        before, _, after = line.partition(b" - ")
        fields, rest = before.split(b" "), after.split(b" ")
        if len(fields) < 5 or len(rest) < 2:
            continue
        found.append(Mounted(_plain(fields[4]), _plain(rest[0]), _plain(rest[1]), fields[2].decode()))
    return found


def mounted_at(path: str) -> Mounted | None:
    """What lies on top of `path` (from `real_path`), None where it is no mount point.  Asks nothing of the mount."""
    return next((mounted for mounted in reversed(mounts()) if mounted.path == path), None)


def prepare(path: str, *, subtype: str, nonempty: bool) -> str:
    """Refuse a mount point that is not fit, clean one that a dead mount lies on; return its real path.

    Raises MountError, FuseMissing.
    """
    if os.geteuid() != 0 and shutil.which("fusermount3") is None:
        raise FuseMissing("fusermount3 is not installed: apt install fuse3")
    if not os.path.exists("/dev/fuse"):
        raise FuseMissing(
            "/dev/fuse is missing: modprobe fuse (in a container: --device /dev/fuse --cap-add SYS_ADMIN)"
        )
    status = _look(path, f"fuse.{subtype}")
    if status is None:
        raise MountError(f"mount point {path} does not exist: create it with mkdir")
    if not stat.S_ISDIR(status.st_mode):
        raise MountError(f"mount point {path} is not a folder")
    real = real_path(path)
    mounted = mounted_at(real)
    if mounted is not None and mounted.kind == f"fuse.{subtype}":
        raise MountError(f"{path} is mounted already ({mounted.source}): unmount it first, or choose another place")
    # An automount waits for the very mount that is being made: who reads its folder before that waits for ever.
    if not nonempty and not (mounted is not None and mounted.kind == "autofs"):
        try:
            with os.scandir(path) as entries:
                first = next(entries, None)
        except PermissionError as error:
            raise MountError(f"mount point {path} cannot be read: {error.strerror}") from error
        if first is not None:
            raise MountError(f"mount point {path} is not empty (it holds {first.name!r}): -o nonempty mounts over it")
    return real


def ask(path: str, kind: str) -> os.stat_result:
    """stat(2) that notices a dead mount of that kind, which the kernel may answer for from what it holds.

    Raises OSError, with ENOTCONN where nobody is behind the mount.
    """
    status = os.stat(path)
    mounted = mounted_at(real_path(path))
    if mounted is not None and mounted.kind == kind:
        os.statvfs(path)
    return status


def _look(path: str, kind: str) -> os.stat_result | None:
    for _ in range(8):  # dead mounts may be stacked
        try:
            return ask(path, kind)
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            return None
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise MountError(f"mount point {path}: {error.strerror}") from error
            detach(path)
    raise MountError(f"{path}: a dead mount stays: umount -l {path}")


def detach(path: str) -> None:
    """Take the mount away from its place at once; files that are open go on until they are closed.

    Raises MountError where it cannot be, also where nothing is mounted.
    """
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.umount2(os.fsencode(path), _MNT_DETACH) == 0:
            return
        number = ctypes.get_errno()
        raise MountError(f"cannot unmount {path}: {os.strerror(number)}")
    program = shutil.which("fusermount3")
    if program is None:
        raise FuseMissing("fusermount3 is not installed: apt install fuse3")
    try:
        done = subprocess.run(
            [program, "-u", "-z", "-q", "--", path],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_HELPER_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MountError(f"cannot unmount {path}: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise MountError(f"cannot unmount {path}: {said or 'fusermount3 failed'}")


def abort(device: str) -> bool:
    """Cut the kernel's connection of the mount with this device: whoever still uses it gets ENOTCONN."""
    try:
        Path(f"/sys/fs/fuse/connections/{_minor(device)}/abort").write_text("1")
    except OSError:
        return False
    return True


def raise_read_ahead(device: str, kilobytes: int) -> None:
    """The kernel reads 128 KiB ahead in a fuse mount; more means fewer, larger requests.  Only root may say so."""
    setting = Path(f"/sys/class/bdi/{device}/read_ahead_kb")
    try:
        if int(setting.read_text()) < kilobytes:
            setting.write_text(str(kilobytes))
    except (OSError, ValueError):
        return


def _minor(device: str) -> int:
    """st_dev as the kernel counts it, which names the connection (major 0 for fuse)."""
    major, _, minor = device.partition(":")
    return (int(major) << 20) | int(minor)


def real_path(path: str) -> str:
    """The path without links, asking only its parent: the mount itself may be dead."""
    parent, name = os.path.split(os.path.abspath(path))
    if name and not os.path.islink(path):
        return os.path.join(os.path.realpath(parent), name)
    return os.path.realpath(path)


def _plain(field: bytes) -> str:
    """mountinfo writes blank, tab, newline and backslash as three octal digits."""
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), field))
