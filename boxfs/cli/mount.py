"""boxfs mount REMOTE MOUNTPOINT"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from boxfs.base.config import GROUPS, Options, Settings, table
from boxfs.cli import background, completing, mounts, places, settings
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.remote import RemoteName, parse_remote


@dataclass(frozen=True, slots=True)
class Request:
    """One mount, as asked for: everything the command line, the files and the environment had to say."""

    remote: RemoteName
    mountpoint: Path
    cache_dir: Path
    settings: Settings
    words: tuple[str, ...] = ()
    flags: Mapping[str, Any] = field(default_factory=dict)

    def again(self) -> Request:
        """Return the request as it would be now: files and environment are read anew.  Raises CliError, OptionError."""
        found = settings.gather(self.remote.account, self.mountpoint, self.words, self.flags)
        return replace(self, settings=_absolute(found))

    @property
    def options(self) -> Options:
        return self.settings.options


def request_of(first: str, second: str | None, words: tuple[str, ...], flags: dict[str, Any]) -> Request:
    """Return what is to be mounted where.  With one argument it is a mount point of the configuration file."""
    mountpoint = mounts.place_of(first if second is None else second)
    remote_text: str | None = first
    if second is None:
        remote_text = settings.remote_of_mountpoint(mountpoint)
        if remote_text is None:
            raise CliError(
                f"mount what at {first}? write `boxfs mount REMOTE {first}`, "
                f'or give {places.own_config_file()} a [mounts."{mountpoint}"] with remote = "box:"',
                Exit.USAGE,
            )
    assert remote_text is not None
    remote = parse_remote(remote_text)
    found = _absolute(settings.gather(remote.account, mountpoint, words, flags))
    cache_dir = found.options.cache_dir or places.default_cache_dir(found.options.api_url, str(remote))
    return Request(remote, mountpoint, Path(os.path.abspath(cache_dir)), found, words, flags)


def _absolute(found: Settings) -> Settings:
    """A mount in the background goes to /: paths must mean the same there."""
    if found.options.token_file is None:
        return found
    return replace(found, options=replace(found.options, token_file=Path(os.path.abspath(found.options.token_file))))


def options_help() -> str:
    """Return the part of `boxfs mount --help` that the option table gives."""
    lines = ["Mount options (-o, the configuration file, BOXFS_OPT_NAME):"]
    for group, title in GROUPS.items():
        lines.append(f"\n{title}:")
        for info in table().values():
            if info.group == group:
                default = "" if info.default in (None, "", (), False) else f" [{info.show(info.default)}]"
                lines += click.wrap_text(
                    f"{info.help}{default}",
                    width=100,
                    initial_indent=f"  {info.spelled:<27} ",
                    subsequent_indent=" " * 30,
                ).splitlines()
    lines.append("\nWhat fstab and systemd write beside them (_netdev, noauto, user, x-*, …) is accepted.")
    return "\n".join(lines)


class _MountCommand(click.Command):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        formatter.write("\n" + options_help() + "\n")


def _table_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    for info in reversed(list(table().values())):
        if info.flag is not None:
            function = click.option(
                info.flag, info.name, metavar=info.spelled.partition("=")[2] or None, help=info.help.split(". ")[0]
            )(function)
    return function


@click.command("mount", cls=_MountCommand, short_help="Mount a Box folder.")
@click.argument("remote", shell_complete=completing.remote)
@click.argument("mountpoint", required=False, shell_complete=completing.folder)
@click.option(
    "-o",
    "--options",
    "words",
    multiple=True,
    metavar="LIST",
    help="Mount options, separated by commas.",
    shell_complete=completing.options,
)
@click.option("-f", "--foreground", is_flag=True, help="Stay; log to stderr.")
@click.option("-r", "--read-only", is_flag=True, help="The same as -o ro.")
@_table_flags
def command(
    remote: str, mountpoint: str | None, words: tuple[str, ...], foreground: bool, read_only: bool, **flags: Any
) -> int:
    """Mount REMOTE (box:, box:/Folder/Sub, or NAME: of an account) at MOUNTPOINT.

    Returns when the mount is ready.  With MOUNTPOINT alone, the configuration file says what belongs there.
    """
    if read_only:
        words = (*words, "ro")
    request = request_of(remote, mountpoint, words, flags)

    def serve() -> int:
        from boxfs.cli.running import run_mount

        return run_mount(request)

    if foreground:
        return serve()
    background.start(serve, lambda line: click.echo(f"boxfs: {line}", err=True))
    return 0
