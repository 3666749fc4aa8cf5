"""What must be right before a mount begins, each with one line that says what to do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from boxfs.base.config import Options
from boxfs.base.option import OptionError
from boxfs.cli import mounts
from boxfs.cli.exits import CliError, Exit
from boxfs.fuse import mountpoint
from boxfs.fuse.library import FuseMissing
from boxfs.fuse.mountpoint import MountError


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
    running = mounts.running_at(place)
    if running is not None and mountpoint.mounted_at(str(place)) is not None:
        raise CliError(
            f"{running.remote} is mounted at {place} already (process {running.pid}); `boxfs umount` ends it", Exit.BUSY
        )
    mounts.cut_killed(place)
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
