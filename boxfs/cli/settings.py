"""Gathers the options of a mount: the configuration files, the environment, the command line, in this order.

[defaults]                # every mount
cache_size = "20G"

[accounts.work]           # every mount of `work:`
token_file = "~/.config/boxfs/work.token"

[mounts."/mnt/team"]      # the mount there; `boxfs mount /mnt/team` needs no more
remote = "work:/Team"
settle = 5
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from boxfs.base.config import Settings, build, find, parse_mount_options, table
from boxfs.base.option import OptionError
from boxfs.cli import places
from boxfs.cli.exits import CliError, Exit

SECTIONS = ("defaults", "accounts", "mounts")
# Keys of a section that say what it is, not how it behaves.
_NOT_OPTIONS = frozenset({"remote", "login"})


def read_file(path: Path) -> Mapping[str, Any]:
    """Return the tables of one configuration file, {} where there is none.  Raises CliError naming file and line."""
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError:
        return {}  # /etc/boxfs/config.toml may hold what is for root only
    except OSError as error:
        raise CliError(f"cannot read {path}: {error.strerror}", Exit.CONFIG) from None
    import tomllib  # 5 ms of a mount's start, where there is a file to be read

    try:
        data = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CliError(f"{path}: {error}", Exit.CONFIG) from None
    for section, content in data.items():
        if section not in SECTIONS:
            raise CliError(f"{path}: unknown section [{section}]; there are {', '.join(SECTIONS)}", Exit.CONFIG)
        if not isinstance(content, dict):
            raise CliError(f"{path}: {section} must be a table: [{section}]", Exit.CONFIG)
    return data


def from_files(files: Iterable[Path], account: str, mountpoint: Path | None) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the sources that apply to that account and mount point, the more special one later."""
    sources: list[tuple[str, Mapping[str, Any]]] = []
    tables = [(path, read_file(path)) for path in files]
    for section, key in (("defaults", None), ("accounts", account), ("mounts", str(mountpoint) if mountpoint else "")):
        for path, data in tables:
            content = data.get(section, {})
            if key is not None:
                content = content.get(key, {})
            where = f"{path} [{section}]" if key is None else f'{path} [{section}."{key}"]'
            values = {name: _expanded(name, value) for name, value in content.items() if name not in _NOT_OPTIONS}
            if values:
                sources.append((where, values))
    return sources


def _expanded(name: str, value: Any) -> Any:
    try:
        is_path = find(name).type is Path
    except OptionError:
        return value  # `build` refuses it, naming the file
    return os.path.expanduser(value) if is_path and isinstance(value, str) else value


def from_environment(environ: Mapping[str, str]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return what variables say.  An empty variable says nothing."""
    return [
        (f"environment {variable}", {info.name: environ[variable]})
        for info in table().values()
        for variable in reversed(info.env)
        if environ.get(variable)
    ]


def remote_of_mountpoint(mountpoint: Path) -> str | None:
    """Return the remote that the configuration gives for a mount point."""
    found = None
    for path in places.config_files():
        found = read_file(path).get("mounts", {}).get(str(mountpoint), {}).get("remote", found)
    return found


def _from_login(account: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return which server the stored account is at; what is asked for otherwise wins."""
    path = accounts_folder() / f"{account}.json"
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError):
        return []  # none, or one that `auth_for` will complain about
    return [(f"login {account}", {key: stored[key] for key in ("api_url", "upload_url") if stored.get(key)})]


def accounts_folder() -> Path:
    """Return where logins are stored: beside the user's configuration file."""
    return places.own_config_file().parent / "accounts"


def account_names() -> list[str]:
    """Return the names of the stored logins."""
    return sorted(path.stem for path in accounts_folder().glob("*.json"))


def gather(
    account: str, mountpoint: Path | None, words: Iterable[str] = (), flags: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings of a mount.  words: of `-o`.  flags: long options that were given.

    Raises CliError with the code of a wrong configuration file, OptionError for a wrong command line.
    """
    files = [*_from_login(account), *from_files(places.config_files(), account, mountpoint)]
    try:
        build(files)
    except OptionError as error:
        raise CliError(str(error), Exit.CONFIG) from None
    return build(
        [
            *files,
            *from_environment(os.environ),
            ("-o", parse_mount_options(words)),
            ("command line", {name: value for name, value in (flags or {}).items() if value is not None}),
        ]
    )
