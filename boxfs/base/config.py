"""Every option of boxfs, declared once: name, type, default, unit, help.

The command line, `-o`, the TOML file, the environment, `--help`, the man pages and docs/OPTIONS.md derive from
`Options`: to add an option, add a field here and read it where it matters; nothing else needs to know.

This module knows the options and how their values are written.  It reads no file, no argv and no environment: the
command line does (boxfs/cli/settings.py) and hands over strings.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from boxfs.base.option import GROUPS as GROUPS
from boxfs.base.option import OptionError as OptionError
from boxfs.base.option import OptionInfo as OptionInfo
from boxfs.base.option import option


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one mount; the defaults are those of a mount that was given none."""

    # Which Box, and who asks
    api_url: str = option(
        "https://api.box.com",
        "Box's API; /2.0 and /oauth2 are appended",
        group="server",
        env="BOXFS_API_URL",
        flag="--api-url",
    )
    upload_url: str = option(
        "",
        "where uploads go; /api/2.0 is appended. Not set: https://upload.box.com, or api_url where that one is set",
        group="server",
        env="BOXFS_UPLOAD_URL",
        flag="--upload-url",
    )
    token: str = option("", "a ready access token", group="server", env="BOXFS_TOKEN", flag="--token", secret=True)
    token_file: Path | None = option(
        None, "a file whose first line is the access token; read again when it changes", group="server", live=True
    )
    as_user: str = option("", "id of the user on whose behalf everything is asked (As-User)", group="server")
    cache_dir: Path | None = option(
        None,
        "holds all local state of this mount: what is not at Box yet, and what was read. "
        "Not set: a folder of its own under the user's state folder",
        group="server",
        env="BOXFS_CACHE_DIR",
        flag="--cache-dir",
    )

    # The mount
    ro: bool = option(False, "no write reaches Box or this mount (EROFS)", group="mount")
    allow_other: bool = option(
        False, "let other users in; an ordinary user needs user_allow_other in /etc/fuse.conf", group="mount"
    )
    allow_root: bool = option(False, "let root in as well as the user who mounts", group="mount")
    nonempty: bool = option(False, "mount over a folder that holds files", group="mount")
    fsname: str = option("", "the source that mount(8) and df show; not set: the remote", group="mount")

    # Owners and permissions
    uid: int | None = option(None, "owner of every file; not set: who mounts", group="owner", least=0)
    gid: int | None = option(None, "group of every file; not set: that of who mounts", group="owner", least=0)
    umask: int = option(0o022, "permission bits that files and folders lack", group="owner", unit="octal")
    fmask: int | None = option(None, "the same for files only", group="owner", unit="octal")
    dmask: int | None = option(None, "the same for folders only", group="owner", unit="octal")
    default_permissions: bool = option(
        False, "let the kernel check owner, group and mode; wanted with allow_other", group="owner"
    )

    # Writing
    fsync: str = option(
        "local",
        "what fsync(2) waits for: this machine's disk, or the finished upload",
        group="writing",
        choices=("local", "box"),
        live=True,
    )
    sync: bool = option(False, "close(2) waits for the upload and returns its error", group="writing", live=True)
    settle: float = option(
        2.0,
        "how long a change rests before it is sent, so that what belongs together becomes one call",
        group="writing",
        unit="seconds",
        least=0,
        live=True,
    )
    uploads: int = option(4, "uploads under way at once", group="writing", least=1, live=True)
    drain_timeout: float = option(
        60.0,
        "how long an unmount waits for uploads; what is left stays on disk for the next mount",
        group="writing",
        unit="seconds",
        least=0,
        live=True,
    )
    boxlock: bool = option(False, "hold Box's own lock on a file while it is open for writing", group="writing")

    # Reading and the cache
    cache_size: int = option(
        10 << 30,
        "how much disk the contents that were read may take; what is not uploaded yet does not count",
        group="reading",
        unit="bytes",
        least=0,
        live=True,
    )
    downloads: int = option(8, "downloads under way at once", group="reading", least=1, live=True)
    cached_only: tuple[str, ...] = option(
        (),
        "programs (their names, separated by colons) whose reads are answered from what is cached only: "
        "indexers and thumbnailers",
        group="reading",
        live=True,
    )

    # Names and attributes
    attributes: str = option(
        "auto",
        "mode bits, symbolic links, xattrs, folder times: kept in Box's metadata (store), on this machine only "
        "(local), not at all (off); auto stores what a user sets on purpose",
        group="names",
        choices=("auto", "store", "local", "off"),
    )
    case: str = option(
        "refuse",
        "a second name that differs by case only: refused (EEXIST), or kept under a reversible mark",
        group="names",
        choices=("refuse", "encode"),
    )
    host: str = option("", "how conflict copies name this machine; not set: its host name", group="names")
    noxattr: bool = option(False, "no extended attributes at all; saves a question per write", group="names")

    # Engine
    workers: int = option(
        64, "how many requests of the kernel may be answered at the same time", group="engine", least=2
    )
    timeout: float = option(
        60.0, "how long one request to Box may stay silent", group="engine", unit="seconds", least=1
    )
    call_budget: int = option(
        0, "calls a month that the account has; shown by `boxfs top`. 0: not known", group="engine", least=0, live=True
    )
    kernel: tuple[str, ...] = option(
        (), "mount flags handed to the kernel as they are (noexec, nosuid, nodev, noatime …)", group="engine"
    )
    notify: bool = option(False, "tell the desktop of conflicts, stuck uploads and an ended login", group="engine")
    log_format: str = option(
        "text",
        "how log lines are written: for people, or one JSON object each",
        group="engine",
        choices=("text", "json"),
    )
    log_level: str = option(
        "info",
        "how much the log says",
        group="engine",
        choices=("debug", "info", "warning", "error"),
        env="BOXFS_LOG_LEVEL",
        flag="--log-level",
        live=True,
    )

    def endpoints(self) -> tuple[str, str]:
        """Return the base URLs (API, uploads), without a trailing slash.

        Where only the API's is set, it serves for uploads as well (an emulator, a proxy).
        """
        api = self.api_url.rstrip("/")
        standard = api == "https://api.box.com"
        return api, (self.upload_url.rstrip("/") or ("https://upload.box.com" if standard else api))

    def masks(self) -> tuple[int, int]:
        """Return the masks of files and of folders."""
        return (
            self.umask if self.fmask is None else self.fmask,
            self.umask if self.dmask is None else self.dmask,
        )


def _plain(hint: Any) -> type:
    """int | None -> int; tuple[str, ...] -> tuple."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    plain: type = typing.get_origin(hint) or hint
    return plain


@cache
def table() -> Mapping[str, OptionInfo]:
    """Return every option by name, in the order of declaration."""
    hints = typing.get_type_hints(Options)
    return {
        one.name: OptionInfo(
            name=one.name,
            type=_plain(hints[one.name]),
            default=one.default,
            **{
                **one.metadata,
                "env": tuple(
                    name for name in (one.metadata["env"], f"BOXFS_OPT_{one.name.upper()}") if name is not None
                ),
            },
        )
        for one in fields(Options)
    }


def find(name: str) -> OptionInfo:
    """Return the option called so; "-" and "_" are one.  Raises OptionError, with the nearest name if any is near."""
    known = table().get(name.replace("-", "_"))
    if known is not None:
        return known
    import difflib

    near = difflib.get_close_matches(name.replace("-", "_"), [*table(), "rw"], n=1)
    hint = f" (did you mean {near[0]}?)" if near else " (`boxfs mount --help` lists them)"
    raise OptionError(f"unknown option {name!r}{hint}")


# What mount(8), fstab(5) and systemd write among a mount's options although it is not for us.
_IGNORED = frozenset(
    "_netdev auto noauto defaults nofail user nouser users owner group rw suid dev exec async atime relatime "
    "norelatime strictatime nostrictatime lazytime nolazytime mand nomand silent loud iversion noiversion bg fg "
    "auto_unmount diratime subtype".split()
)
_IGNORED_STARTS = ("x-", "X-", "comment=", "subtype=", "uhelper=", "helper=", "user=")
_KERNEL = frozenset("noexec nosuid nodev noatime nodiratime dirsync".split())


def parse_mount_options(words: Iterable[str]) -> dict[str, str]:
    """Return {name: text} of `-o` words, each a comma-separated list as mount(8) has it; the last one wins.

    A comma inside a value is written "\\,".  What belongs to fstab or systemd is dropped, what belongs to the kernel is
    gathered in `kernel`.  Raises OptionError for what nobody knows.
    """
    out: dict[str, str] = {}
    kernel: list[str] = []
    for word in words:
        for part in word.replace("\\,", "\0").split(","):
            text = part.replace("\0", ",").strip()
            if not text:
                continue
            if text == "rw":
                out["ro"] = "no"
            elif text in _KERNEL:
                kernel.append(text)
            elif text in _IGNORED or text.startswith(_IGNORED_STARTS):
                continue
            else:
                name, equals, value = text.partition("=")
                info = find(name)
                if not equals and info.type is not bool:
                    raise OptionError(f"{info.name}: a value is missing ({info.spelled})")
                out[info.name] = value if equals else "yes"
    if kernel:
        out["kernel"] = ":".join(dict.fromkeys(kernel))
    return out


@dataclass(frozen=True, slots=True)
class Settings:
    """Options together with where each value came from ("default", "environment BOXFS_TOKEN", "-o", a file)."""

    options: Options
    origins: Mapping[str, str]


def build(sources: Iterable[tuple[str, Mapping[str, Any]]]) -> Settings:
    """Lay the sources over the defaults, later ones on top.

    sources: (where it is from, {option: text or typed value}).  Values of a TOML file come typed: a number, a bool or
    a list is taken through the same checks as its text.  Raises OptionError, naming the source.
    """
    values: dict[str, Any] = {}
    origins = dict.fromkeys(table(), "default")
    for origin, given in sources:
        for name, raw in given.items():
            try:
                info = find(name)
                values[info.name] = info.parse(_as_text(raw))
            except OptionError as error:
                raise OptionError(f"{origin}: {error}") from None
            origins[info.name] = origin
    options = Options(**values)
    if options.allow_other and options.allow_root:
        raise OptionError("allow_other and allow_root exclude each other")
    return Settings(options, origins)


def _as_text(raw: object) -> str:
    if isinstance(raw, bool):
        return "yes" if raw else "no"
    if isinstance(raw, list | tuple):
        return ":".join(str(one) for one in raw)
    return str(raw)
