"""boxfs log [MOUNTPOINT]: the log of a mount, running or not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from boxfs.cli import completing, logs, mounts, places
from boxfs.cli.exits import CliError, Exit


def log_of(mountpoint: str | None) -> Path:
    """Return the log file of the mount there (of the only one, without an argument).  Raises CliError."""
    known = mounts.running_mounts()
    if mountpoint is not None:
        place = str(places.settled(mountpoint))
        known = [one for one in known if one.mountpoint == place or place.startswith(f"{one.mountpoint}/")]
    if not known:
        raise CliError("no mount is known there; its log is log/boxfs.log in its cache folder", Exit.NO_INPUT)
    if len(known) > 1:
        raise CliError(f"which mount? {', '.join(one.mountpoint for one in known)}", Exit.USAGE)
    return logs.log_path(Path(known[0].cache_dir))


@click.command("log", short_help="The log of a mount.")
@click.argument("mountpoint", required=False, shell_complete=completing.mountpoint)
@click.option("-n", "--lines", default=50, show_default=True, help="How many of the last lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on as it grows.")
def command(mountpoint: str | None, lines: int, follow: bool) -> int:
    """Show the log of the mount at MOUNTPOINT (of the only one, without it)."""
    path = log_of(mountpoint)
    try:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:] if lines > 0 else ():
            click.echo(line)
        if follow:
            _follow(path)
    except OSError as error:
        raise CliError(f"cannot read {path}: {error.strerror}", Exit.NO_INPUT) from None
    return Exit.OK


def _follow(path: Path) -> None:
    """Show what is added, over rotations, until Ctrl-C."""
    file = path.open(encoding="utf-8", errors="replace")
    try:
        file.seek(0, os.SEEK_END)
        while True:
            more = file.read()
            if more:
                click.echo(more, nl=False)
            elif path.exists() and path.stat().st_ino != os.fstat(file.fileno()).st_ino:
                file.close()
                file = path.open(encoding="utf-8", errors="replace")
            else:
                time.sleep(0.3)
    finally:
        file.close()
