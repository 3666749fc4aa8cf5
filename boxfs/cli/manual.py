"""The man pages boxfs(1) and mount.boxfs(8) and docs/OPTIONS.md, written from the commands and the option table."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from boxfs import __version__
from boxfs.base.config import GROUPS, OptionInfo, table
from boxfs.cli.exits import Exit
from boxfs.cli.main import COMMANDS, cli

PAGES = ("boxfs.1", "mount.boxfs.8")

_EXITS = {
    Exit.OK: "all is well",
    Exit.FAILED: "something of what the command was to do is not done",
    Exit.USAGE: "wrong usage: an option or argument that does not exist or does not fit",
    Exit.NO_INPUT: "a mount point, folder or file that is not there or does not serve",
    Exit.UNAVAILABLE: "Box cannot be reached, and nothing is cached to go on without it",
    Exit.INTERNAL: "a defect of boxfs",
    Exit.NO_FUSE: "FUSE is not installed or not allowed",
    Exit.CANNOT_CREATE: "the cache folder cannot be written, or its disk is full",
    Exit.BUSY: "another mount uses the place or the cache folder",
    Exit.NO_PERMISSION: "Box refuses the token",
    Exit.CONFIG: "the configuration file is wrong",
}
_MOUNT_EXITS = {
    0: "mounted",
    1: "wrong usage",
    2: "FUSE is missing",
    4: "a defect of boxfs",
    8: "interrupted",
    32: "failed",
}


def page(name: str) -> str:
    """Return one of PAGES as roff.  Raises KeyError for another name."""
    return "\n".join({"boxfs.1": _boxfs, "mount.boxfs.8": _mount_boxfs}[name]()) + "\n"


def _roff(text: str) -> str:
    """Quote text for roff: backslash, hyphen, and what would be a request at the start of a line."""
    text = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", text)
    text = text.replace("…", "...")  # terminals of the C locale have no such sign
    text = re.sub(r"[^\x00-\x7f]", lambda found: f"\\[u{ord(found[0]):04X}]", text)
    return f"\\&{text}" if text[:1] in (".", "'") else text


def _head(name: str, section: int, line: str) -> Iterator[str]:
    yield f'.TH "{name.upper()}" "{section}" "" "boxfs {__version__}" "boxfs"'
    yield ".SH NAME"
    yield f"{_roff(name)} \\- {_roff(line)}"


def _item(term: str, text: str) -> Iterator[str]:
    yield ".TP"
    yield f"\\fB{_roff(term)}\\fR"
    yield _roff(text)


def _boxfs() -> Iterator[str]:
    yield from _head("boxfs", 1, "mount a Box account as a local drive")
    yield ".SH SYNOPSIS"
    yield ".B boxfs\nCOMMAND [ARGUMENTS]"
    yield ".SH DESCRIPTION"
    yield _roff(
        "boxfs mounts a Box.com account, or a folder of it, as a local drive.  What is written is on this machine at "
        "once and at Box soon after; what is read is kept.  Nothing that was closed is lost when boxfs or the machine "
        "ends: what is pending is sent by the next mount."
    )
    yield ".SH COMMANDS"
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        usage = " ".join(command.collect_usage_pieces(click.Context(command, info_name=name)))
        yield ".SS"
        yield f"boxfs {name} {_roff(usage)}"
        yield _roff((command.help or "").replace("\b", ""))
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                metavar = f" {parameter.metavar}" if parameter.metavar else ""
                yield from _item(", ".join(parameter.opts) + metavar, parameter.help or "")
    yield ".SH MOUNT OPTIONS"
    yield _roff("Of `boxfs mount -o`, of the configuration file, and of the environment as BOXFS_OPT_NAME.")
    yield from _options()
    yield ".SH ENVIRONMENT"
    for info in table().values():
        for variable in info.env[:-1]:
            yield from _item(variable, f"{info.help}.")
    yield from _item("BOXFS_CONFIG", "the configuration file to read instead of the usual ones.")
    yield from _item("BOXFS_DEBUG", "where set, a defect shows its traceback.")
    yield ".SH FILES"
    yield from _item("/etc/boxfs/config.toml, ~/.config/boxfs/config.toml", "configuration; the second one wins.")
    yield from _item(
        "~/.local/state/boxfs, /var/lib/boxfs", "local state of mounts without cache_dir; the latter root's."
    )
    yield ".SH EXIT STATUS"
    for code, text in _EXITS.items():
        yield from _item(str(int(code)), f"{text}.")
    yield ".SH SEE ALSO"
    yield _roff("mount.boxfs(8), fusermount3(1), fstab(5)")


def _options() -> Iterator[str]:
    for group, title in GROUPS.items():
        yield ".SS"
        yield title
        for info in table().values():
            if info.group == group:
                yield from _item(info.spelled, f"{info.help}.{_default(info)}{_live(info)}")


def _default(info: OptionInfo) -> str:
    return "" if info.default in (None, "", (), False) else f" Default: {info.show(info.default)}."


def _live(info: OptionInfo) -> str:
    return " A running mount takes a new value from the file." if info.live else ""


def _mount_boxfs() -> Iterator[str]:
    yield from _head("mount.boxfs", 8, "mount a Box account by mount(8) and fstab(5)")
    yield ".SH SYNOPSIS"
    yield ".B mount.boxfs\nREMOTE MOUNTPOINT [\\-sfnv] [\\-o OPTIONS]"
    yield ".SH DESCRIPTION"
    yield _roff("What mount(8) calls for the type boxfs.  REMOTE is box: or box:/Folder/Sub, or NAME: of an account.")
    yield ".SH EXAMPLE"
    yield _roff("A line of /etc/fstab:")
    yield ".PP\n.nf"
    yield r"box:/Team  /mnt/team  boxfs  noauto,_netdev,x\-systemd.automount,allow_other  0  0"
    yield ".fi"
    yield ".SH OPTIONS"
    yield from _options()
    yield ".SH EXIT STATUS"
    for code, text in _MOUNT_EXITS.items():
        yield from _item(str(code), f"{text}.")
    yield ".SH SEE ALSO"
    yield _roff("boxfs(1), mount(8), fstab(5), systemd.automount(5)")


def options_document() -> str:
    """Return docs/OPTIONS.md."""
    lines = [
        "# Options",
        "",
        "Written from the option table (`boxfs man options`); a test keeps it so. Every option can stand in",
        "`-o`, in the configuration file (`[defaults]`, `[accounts.NAME]`, `[mounts.\"/mnt/x\"]`) and in the",
        "environment as `BOXFS_OPT_NAME`. *Live*: a running mount takes a changed value from the file.",
    ]  # fmt: skip
    for group, title in GROUPS.items():
        lines += ["", f"## {title}", "", "| Option | Default | Live | Meaning |", "|---|---|---|---|"]
        for info in table().values():
            if info.group == group:
                also = [f"`{one}`" for one in (info.flag, *info.env[:-1]) if one]
                text = info.help.replace("|", "\\|") + (f" (also {', '.join(also)})" if also else "")
                spelled = info.spelled.replace("|", "\\|")
                lines.append(f"| `{spelled}` | {info.show(info.default)} | {'yes' if info.live else ''} | {text} |")
    return "\n".join(lines) + "\n"
