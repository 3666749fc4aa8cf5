"""boxfs sync [PATH]: returns when everything (below PATH) is at Box."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from boxfs.base.option import OptionError
from boxfs.base.units import parse_seconds
from boxfs.cli import completing, control, mounts, places
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.progress import StatusLine, uploads_left


def mount_of_argument(path: str | None) -> list[tuple[mounts.Running, str]]:
    """Return (mount, path inside it) of PATH; all mounts, whole, where there is none.  Raises CliError."""
    if path is None:
        found = [(one, "") for one in mounts.running_mounts() if one.alive()]
        if not found:
            raise CliError("no mount is running", Exit.NO_INPUT)
        return found
    one = mounts.mount_of(path)
    if one is None:
        raise CliError(f"{path} is in no running mount of boxfs", Exit.NO_INPUT)
    inside = os.path.relpath(places.settled(path), one.mountpoint)
    return [(one, "" if inside == "." else inside)]


@click.command("sync", short_help="Wait until everything is at Box.")
@click.argument("path", required=False, shell_complete=completing.file)
@click.option("-t", "--timeout", metavar="SECONDS", help="Give up after that time (else: never).")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(path: str | None, timeout: str | None, quiet: bool) -> int:
    """Send at once what is pending below PATH (of all mounts, without one), and wait for it.

    Ends with 1 and a line for each where something could not be sent.
    """
    try:
        timeout_s = None if timeout is None else parse_seconds(timeout)
    except ValueError as error:
        raise OptionError(f"--timeout: {error}") from None
    code = Exit.OK
    for running, inside in mount_of_argument(path):
        line = StatusLine()

        def show(progress: Any, running: mounts.Running = running, line: StatusLine = line) -> None:
            if not quiet and progress.get("items"):
                line.show(f"{running.mountpoint}: {uploads_left(progress)}")

        try:
            result = control.call(
                Path(running.socket), "sync", {"path": inside, "timeout_s": timeout_s}, progress=show, timeout_s=None
            )
        finally:
            line.close()
        for problem in result.get("problems", ()):
            click.echo(f"boxfs: {os.path.join(running.mountpoint, problem['path'])}: {problem['error']}", err=True)
        if result.get("problems") or result.get("pending", {}).get("items"):
            if not result.get("problems"):
                why = f": {result['why']}" if result.get("why") else ""
                click.echo(f"boxfs: {running.mountpoint}: {uploads_left(result['pending'])}{why}", err=True)
            code = Exit.FAILED
    return code
