"""Which mounts of boxfs run: the registry of their sockets; and how one is unmounted as its user would do it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from boxfs.cli import places
from boxfs.fuse import mountpoint

_HELPER_TIMEOUT_S = 30.0
_LAST_THREAD_S = 5.0  # how long one takes to end that the kernel has let go


def unmount(mountpoint: Path) -> str | None:
    """Unmount what nobody uses; return None, or the reason why not (busy, say), in one line."""
    tool = shutil.which("fusermount3") or shutil.which("fusermount")
    command = [tool, "-u", "--", str(mountpoint)] if tool is not None else ["umount", "--", str(mountpoint)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_HELPER_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"{command[0]} has not come back after {_HELPER_TIMEOUT_S:g} s"
    if done.returncode == 0:
        return None
    return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"{command[0]} failed"


@dataclass(frozen=True, slots=True)
class Running:
    """A mount that runs (or ran), as it wrote itself down in the runtime folder."""

    mountpoint: str
    remote: str
    pid: int
    cache_dir: str
    socket: str
    started: float

    @property
    def record(self) -> Path:
        return Path(self.socket).with_suffix(".json")

    def alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        try:
            return "boxfs" in Path(f"/proc/{self.pid}/cmdline").read_text(errors="replace")
        except OSError:
            return False

    def is_held(self) -> bool:
        """Whether its process was killed and cannot end: the kernel holds a thread of it."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
            return state == "Z" and len(os.listdir(f"/proc/{self.pid}/task")) > 1
        except (OSError, IndexError):
            return False


def socket_path(mountpoint: Path) -> Path:
    return places.runtime_dir() / f"{places.mount_key(mountpoint)}.sock"


def register(running: Running) -> Path:
    """Write the mount down, until `forget`; returns the file."""
    fresh = running.record.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(running)))
    fresh.replace(running.record)
    return running.record


def forget(running: Running) -> None:
    """Drop its record, where another mount of the same place has not written down its own meanwhile."""
    if running in running_mounts():
        running.record.unlink(missing_ok=True)


def running_mounts() -> list[Running]:
    """Return every mount written down, oldest first; records of dead ones stay until the place is taken again."""
    found: list[Running] = []
    for path in sorted(places.runtime_dir().glob("*.json")):
        try:
            data: Mapping[str, Any] = json.loads(path.read_text())
            found.append(Running(**data))
        except (OSError, ValueError, TypeError):
            continue
    return sorted(found, key=lambda one: one.started)


def mount_of(path: str | os.PathLike[str]) -> Running | None:
    """Return the running mount that the path lies in (or is)."""
    wanted = places.settled(path)
    best: Running | None = None
    for one in running_mounts():
        inside = wanted == Path(one.mountpoint) or Path(one.mountpoint) in wanted.parents
        if inside and one.alive() and (best is None or len(one.mountpoint) > len(best.mountpoint)):
            best = one
    return best


def running_at(place: Path) -> Running | None:
    """Return the mount at that place (from `place_of`) whose process lives."""
    return next((one for one in running_mounts() if one.mountpoint == str(place) and one.alive()), None)


def place_of(path: str) -> Path:
    """Return the mount point that somebody means: without links, and asking nothing of what is mounted there."""
    place = places.settled(path)
    if mountpoint.mounted_at(str(place)) is None and os.path.islink(place):
        return Path(os.path.realpath(place))
    return place


def cut_killed(place: Path) -> None:
    """Let the boxfs of that place end where it was killed and cannot: the kernel holds one of its threads.

    A notice to the kernel waits for who is in that folder, or for a page that is being read; these wait for boxfs,
    which is no more.  Without its connection everybody is let go.  Does nothing where we may not (another user's mount,
    no fusectl).
    """
    killed = next((one for one in running_mounts() if one.mountpoint == str(place) and one.is_held()), None)
    mounted = mountpoint.mounted_at(str(place))
    if killed is None or mounted is None or mounted.kind != "fuse.boxfs":  # else somebody else's, mounted there since
        return
    if mountpoint.abort(mounted.device):
        deadline = time.monotonic() + _LAST_THREAD_S
        while killed.is_held() and time.monotonic() < deadline:
            time.sleep(0.01)


def forget_dead(mountpoint: Path) -> Running | None:
    """Drop the record of a mount whose process is gone; return what it said."""
    for one in running_mounts():
        if one.mountpoint == str(mountpoint) and not one.alive():
            one.record.unlink(missing_ok=True)
            return one
    return None
