"""Where things are on this machine: configuration, local state, the sockets of running mounts.

Follows the XDG base directories; root, who mounts at boot without a home, has /etc/boxfs, /var/lib/boxfs, /run/boxfs.
Local state is *state*, not cache: a cleaner of ~/.cache must never take bytes that Box has not got.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

import platformdirs

from boxfs.cli.exits import CliError, Exit

_SOCKET_PATH_MAX = 100  # sun_path holds 108 bytes


def config_files() -> list[Path]:
    """Return the configuration files, the later one on top.  BOXFS_CONFIG names the only one."""
    only = os.environ.get("BOXFS_CONFIG")
    if only:
        return [Path(only)]
    own = Path(platformdirs.user_config_path("boxfs")) / "config.toml"
    return [Path("/etc/boxfs/config.toml"), own]


def own_config_file() -> Path:
    return config_files()[-1]


def state_dir() -> Path:
    if os.geteuid() == 0 and not os.environ.get("XDG_STATE_HOME"):
        return Path("/var/lib/boxfs")
    return Path(platformdirs.user_state_path("boxfs"))


def default_cache_dir(api_url: str, remote: str) -> Path:
    """Return the folder of a mount that was given none: one per server and remote, with a name that people can read."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", remote).strip("-").lower()[:40] or "box"
    digest = hashlib.blake2b(f"{api_url}\0{remote}".encode(), digest_size=4).hexdigest()
    return state_dir() / "mounts" / f"{slug}-{digest}"


def runtime_dir() -> Path:
    """Return the folder of the control sockets, made where it is missing; ours alone (0700)."""
    if os.environ.get("XDG_RUNTIME_DIR"):
        base = Path(os.environ["XDG_RUNTIME_DIR"]) / "boxfs"
    elif os.geteuid() == 0:
        base = Path("/run/boxfs")
    elif Path(f"/run/user/{os.geteuid()}").is_dir():
        base = Path(f"/run/user/{os.geteuid()}/boxfs")
    else:
        base = Path(tempfile.gettempdir()) / f"boxfs-{os.geteuid()}"
    if len(os.fsencode(base)) > _SOCKET_PATH_MAX - 25:
        digest = hashlib.blake2b(os.fsencode(base), digest_size=6).hexdigest()
        base = Path("/tmp") / f"boxfs-{os.geteuid()}-{digest}"
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = base.lstat()
    except OSError as error:
        raise CliError(f"cannot make {base}: {error.strerror}", Exit.CANNOT_CREATE) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise CliError(f"{base} is not a folder of yours; remove it or set XDG_RUNTIME_DIR", Exit.CANNOT_CREATE)
    return base


def mount_key(mountpoint: Path) -> str:
    return hashlib.blake2b(os.fsencode(mountpoint), digest_size=8).hexdigest()


def settled(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path with links resolved in all but the last part.

    The last part may be a mount whose server is dead or slow: nothing may be asked of it.
    """
    absolute = Path(os.path.abspath(path))
    return absolute if absolute == absolute.parent else Path(os.path.realpath(absolute.parent)) / absolute.name
