"""boxfs umount MOUNTPOINT: the uploads first, then the unmount; what is left stays for the next mount."""

from __future__ import annotations

import errno
import os
import select
from pathlib import Path
from typing import Any

import click

from boxfs.base.option import OptionError
from boxfs.base.units import parse_seconds
from boxfs.cli import completing, control, mounts
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.progress import StatusLine, uploads_left
from boxfs.fuse import mountpoint as mountpoint_table

# After the last upload the process closes its files: seconds at most, even on a slow disk.
_EXIT_TIMEOUT_S = 60.0


@click.command("umount", short_help="Wait for the uploads, then unmount.")
@click.argument("mountpoint", shell_complete=completing.mountpoint)
@click.option("-t", "--timeout", metavar="SECONDS", help="How long to wait for uploads (else: drain_timeout).")
@click.option("-n", "--no-wait", is_flag=True, help="Do not wait for uploads; the next mount sends them.")
@click.option(
    "-l", "--lazy", is_flag=True, help="Unmount even where programs still use it; they go on until they close."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(mountpoint: str, timeout: str | None, no_wait: bool, lazy: bool, quiet: bool) -> int:
    """Send what is pending, then unmount MOUNTPOINT."""
    place = mounts.place_of(mountpoint)
    try:
        timeout_s = 0.0 if no_wait else parse_seconds(timeout) if timeout is not None else None
    except ValueError as error:
        raise OptionError(f"--timeout: {error}") from None
    running = mounts.running_at(place)
    if running is None:
        return _without_process(place, lazy=lazy)
    return stop(running, timeout_s, lazy=lazy, quiet=quiet)


def stop(running: mounts.Running, timeout_s: float | None, *, lazy: bool, quiet: bool) -> int:
    """Drain and unmount a running mount; returns when its process has ended."""
    line = StatusLine()
    process = _pidfd(running.pid)

    def show(progress: Any) -> None:
        if not quiet and progress.get("items"):
            line.show(f"{running.mountpoint}: {uploads_left(progress)}")

    try:
        result = control.call(
            Path(running.socket), "stop", {"timeout_s": timeout_s, "lazy": lazy}, progress=show, timeout_s=None
        )
        if process is not None and not select.select([process], [], [], _EXIT_TIMEOUT_S)[0]:
            raise CliError(f"process {running.pid} does not end; its log: `boxfs log {running.mountpoint}`")
    except control.NotRunning:
        return _without_process(Path(running.mountpoint), lazy=lazy)
    finally:
        line.close()
        if process is not None:
            os.close(process)
    pending = result.get("pending", {})
    if pending.get("items"):
        click.echo(
            f"boxfs: {uploads_left(pending)}: kept in {running.cache_dir}, sent by the next mount of it", err=True
        )
        return Exit.FAILED
    return Exit.OK


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _without_process(place: Path, *, lazy: bool) -> int:
    """Unmount what has no boxfs of ours behind it: dead, or of another user."""
    found = mountpoint_table.mounted_at(str(place))
    if found is None:
        raise CliError(f"nothing is mounted at {place}", Exit.NO_INPUT)
    if not found.kind.startswith("fuse"):
        raise CliError(f"{place} is no mount of boxfs but {found.kind} of {found.source}", Exit.NO_INPUT)
    mounts.cut_killed(place)
    if lazy or _is_dead(place):
        mountpoint_table.detach(str(place))
        dead = mounts.forget_dead(place)
        if dead is not None:
            click.echo(f"boxfs: its process was dead; what Box has not got is kept in {dead.cache_dir}, "
                       "sent by the next mount of it", err=True)  # fmt: skip
        return Exit.OK
    refused = mounts.unmount(place)
    if refused is not None:
        raise CliError(f"cannot unmount {place}: {refused}")
    return Exit.OK


def _is_dead(place: Path) -> bool:
    """Say whether a mount stands there whose process is gone."""
    try:
        mountpoint_table.ask(str(place), "fuse.boxfs")
    except OSError as error:
        return error.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    return False
