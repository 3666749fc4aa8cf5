"""The folder with all local state of one mount, held by a lock; and the wait for the last process that had it.

umount(8) and fusermount3 return as soon as the place is free, while the process still sends and closes: a mount that
comes then waits for it.  After HURRY_S it asks it to leave what is unsent to the mount that waits.  Nobody is killed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from boxfs.cli import control, mounts, places
from boxfs.cli.exits import CliError, Exit
from boxfs.fuse import mountpoint
from boxfs.store.lasting import make_folder

_LEAST_FREE_BYTES = 16 << 20  # room for the database, its log and the first spooled file

HURRY_S = 3.0  # as long as an end takes where Box answers and little is unsent
PATIENCE_S = 60.0  # an end that does not send takes 30 s at most (docs/OPERATIONS.md); systemd waits 90 s for mount(8)
_LOOK_S = 0.02
_UNTOLD_S = 1.0  # how long who has just taken the lock may need to write down who it is

STARTING, MOUNTED, ENDING = "starting", "mounted", "ending"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a cache folder, as it says itself in the lock file: a line of JSON."""

    pid: int
    state: str
    place: str

    def __str__(self) -> str:
        where = {STARTING: f", about to mount {self.place}", MOUNTED: f", mounted at {self.place}"}
        return f"process {self.pid}{where.get(self.state, '')}"

    def is_ending(self) -> bool:
        """By its own word; or its mount is gone, which it may not have noticed yet.  Its own view of mounts counts:
        it may be in a container."""
        if self.state != MOUNTED:
            return self.state == ENDING
        try:
            theirs = mountpoint.mounts(f"/proc/{self.pid}/mountinfo")
        except OSError:
            return False  # in another world of processes: nothing is known of it
        return not any(one.path == self.place and one.kind == "fuse.boxfs" for one in theirs)


class CacheFolder:
    """Held (flock) for as long as this object lives."""

    def __init__(
        self,
        path: Path,
        place: str = "",
        tell: Callable[[str], None] = lambda _line: None,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """place: where it is to be mounted.  tell: hears, once, that and for whom this waits.

        Raises CliError where the folder cannot be made or written, is full, another mount has it, or one that is
        ending has it still after `patience_s`.
        """
        self.path = places.settled(path)
        self._place = place
        try:
            make_folder(self.path)
            self._fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CliError(f"cache folder {self.path}: {_told(error)}", Exit.CANNOT_CREATE) from None
        try:
            self._take(tell, patience_s)
            self.say(STARTING)
            self._prove_writable()
        except OSError as error:
            os.close(self._fd)
            raise CliError(f"cache folder {self.path}: {_told(error)}", Exit.CANNOT_CREATE) from None
        except BaseException:
            os.close(self._fd)
            raise

    def say(self, state: str) -> None:
        """Write down what the holder does, for who would like to have the folder."""
        line = json.dumps(asdict(Holder(os.getpid(), state, self._place))).encode() + b"\n"
        os.pwrite(self._fd, line, 0)
        os.ftruncate(self._fd, len(line))

    def close(self) -> None:
        os.close(self._fd)

    def _take(self, tell: Callable[[str], None], patience_s: float) -> None:
        began = time.monotonic()
        told = hurried = False
        while not self._is_free():
            waited_s = time.monotonic() - began
            holder = self._holder()
            # Not a holder that went meanwhile, whose mount is gone for that reason: the lock itself has the last word.
            if not (waited_s < _UNTOLD_S if holder is None else holder.is_ending()):
                if self._is_free():
                    return
                who = self._holder() or holder or "another mount"
                raise CliError(f"cache folder {self.path} is in use by {who}; give this one --cache-dir", Exit.BUSY)
            if holder is not None:
                if not told:
                    tell(f"waiting for process {holder.pid}, which is still ending")
                    told = True
                if waited_s > patience_s:
                    raise CliError(
                        f"cache folder {self.path} is in use by process {holder.pid}, which is still ending after "
                        f"{waited_s:.0f} s (a program or a container may still use that mount): try again; "
                        f"`kill {holder.pid}` ends it, and what is unsent is kept",
                        Exit.BUSY,
                    )
                if waited_s > HURRY_S and not hurried:
                    hurried = True
                    _hurry(holder)
            time.sleep(_LOOK_S)

    def _is_free(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _holder(self) -> Holder | None:
        """Return None where it is just about to say who it is."""
        try:
            return Holder(**json.loads(os.pread(self._fd, 16384, 0).partition(b"\n")[0]))
        except (ValueError, TypeError):
            return None

    def _prove_writable(self) -> None:
        probe = self.path / ".probe"
        with probe.open("wb") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
        probe.unlink()
        free = shutil.disk_usage(self.path).free
        if free < _LEAST_FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _hurry(holder: Holder) -> None:
    """Ask it not to wait for its uploads any longer: whoever waits for the folder will send them."""
    for one in mounts.running_mounts():
        if one.pid == holder.pid:
            with contextlib.suppress(CliError):
                control.call(Path(one.socket), "hurry", timeout_s=5.0)


def _told(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"cannot be written ({error.strerror}); choose another with --cache-dir"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; make room, or choose another with --cache-dir"
    return f"{error.strerror}; choose another with --cache-dir"
