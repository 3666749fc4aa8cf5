"""What must be right before a mount begins, each with one line that says what to do; the lock on the cache folder."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path

from boxfs.base.config import Options
from boxfs.base.option import OptionError
from boxfs.cli import mounts, places
from boxfs.cli.exits import CliError, Exit
from boxfs.fuse import mountpoint
from boxfs.fuse.library import FuseMissing
from boxfs.fuse.mountpoint import MountError
from boxfs.store.lasting import make_folder

_LEAST_FREE_BYTES = 16 << 20  # room for the database, its log and the first spooled file


def check_fuse() -> None:
    """Raises CliError where this machine or this user cannot mount with FUSE, as far as a look tells."""
    if not os.path.exists("/dev/fuse"):
        raise CliError("there is no /dev/fuse: modprobe fuse (in a container: --device /dev/fuse --cap-add SYS_ADMIN)",
                       Exit.NO_FUSE)  # fmt: skip
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise CliError("you may not use /dev/fuse: ask for access to it (group fuse, or mode 0666)", Exit.NO_FUSE)
    if shutil.which("fusermount3") is None:
        raise CliError("FUSE 3 is not installed (there is no fusermount3): apt install fuse3", Exit.NO_FUSE)


def check_others_allowed(options: Options) -> None:
    """Raises CliError where an ordinary user asks for allow_other and root has not allowed it."""
    if os.geteuid() == 0 or not (options.allow_other or options.allow_root):
        return
    try:
        lines = Path("/etc/fuse.conf").read_text().splitlines()
    except OSError:
        lines = []
    if not any(line.strip() == "user_allow_other" for line in lines):
        word = "allow_other" if options.allow_other else "allow_root"
        raise CliError(f"{word}: root must first add the line user_allow_other to /etc/fuse.conf", Exit.NO_FUSE)


def check_mountpoint(place: Path, *, nonempty: bool) -> None:
    """Raises CliError where nothing can be mounted there; clears away the mount of a boxfs that died."""
    running = next((one for one in mounts.running_mounts() if one.mountpoint == str(place) and one.alive()), None)
    if running is not None and mountpoint.mounted_at(str(place)) is not None:
        raise CliError(
            f"{running.remote} is mounted at {place} already (process {running.pid}); `boxfs umount` ends it", Exit.BUSY
        )
    try:
        mountpoint.prepare(str(place), subtype="boxfs", nonempty=nonempty)
    except FuseMissing as error:
        raise CliError(str(error), Exit.NO_FUSE) from None
    except MountError as error:
        found = mountpoint.mounted_at(str(place))
        code = Exit.BUSY if found is not None and found.kind == "fuse.boxfs" else Exit.NO_INPUT
        raise CliError(str(error), code) from None
    if not os.access(place, os.W_OK) and os.geteuid() != 0:
        raise CliError(f"mount point {place} is not yours to mount on (no write permission)", Exit.NO_INPUT)


def check_token_file(path: Path) -> str:
    """Return the token in the file.  Raises OptionError where it cannot be read or is open to others."""
    try:
        mode = path.stat().st_mode
        token = path.read_text().strip().split("\n")[0].strip()
    except OSError as error:
        raise OptionError(f"token_file {path}: {error.strerror}") from None
    if mode & 0o077:
        raise OptionError(f"token_file {path} can be read by others: chmod 600 it")
    if not token:
        raise OptionError(f"token_file {path} is empty")
    return token


class CacheFolder:
    """The folder with all local state of one mount, held by a lock (flock) for as long as this object lives."""

    def __init__(self, path: Path) -> None:
        """Raises CliError where the folder cannot be made or written, is full, or another mount has it."""
        self.path = places.settled(path)
        try:
            make_folder(self.path)
            self._fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CliError(f"cache folder {self.path}: {_told(error)}", Exit.CANNOT_CREATE) from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._fd, 100, 0).decode(errors="replace").strip()
            os.close(self._fd)
            raise CliError(
                f"cache folder {self.path} is in use by {holder or 'another mount'}; give this one --cache-dir",
                Exit.BUSY,
            ) from None
        try:
            self._prove_writable()
        except OSError as error:
            os.close(self._fd)
            raise CliError(f"cache folder {self.path}: {_told(error)}", Exit.CANNOT_CREATE) from None

    def _prove_writable(self) -> None:
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"process {os.getpid()}\n".encode(), 0)
        probe = self.path / ".probe"
        with probe.open("wb") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
        probe.unlink()
        free = shutil.disk_usage(self.path).free
        if free < _LEAST_FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        os.close(self._fd)


def _told(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"cannot be written ({error.strerror}); choose another with --cache-dir"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; make room, or choose another with --cache-dir"
    return f"{error.strerror}; choose another with --cache-dir"
