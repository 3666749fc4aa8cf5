"""The commands that ask one running mount something: why, retry, rescue, pin, unpin, evict, cache."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import click

from boxfs.base.units import format_seconds, format_size
from boxfs.cli import completing, control, mounts
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.progress import StatusLine
from boxfs.cli.sync import mount_of_argument


def _ask(path: str, command: str, *, timeout_s: float | None = 60.0, **args: Any) -> Any:
    """Ask the mount that PATH lies in; `path` inside it goes along."""
    ((running, inside),) = mount_of_argument(path)
    return control.call(Path(running.socket), command, {"path": inside, **args}, timeout_s=timeout_s)


@click.command("why", short_help="Everything that is known of one file or folder.")
@click.argument("path", shell_complete=completing.file)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def why(path: str, as_json: bool) -> int:
    """Show what the mount knows of PATH: what is cached, what is pending, what comes next, what Box last told."""
    told = _ask(path, "why")
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return Exit.OK
    for line in describe(told, time.time()):
        click.echo(line)
    return Exit.OK


def describe(told: dict[str, Any], now: float) -> list[str]:
    """Return the lines that a person reads of `why`'s answer."""
    size = "" if told["kind"] == "folder" else f", {format_size(told['size'])}"
    lines = [f"{told['path'] or '/'}: {told['kind']}{size}, inode {told['inode']}"]
    pending, box, network = told["pending"], told.get("box"), told["network"]
    if pending is None:
        lines.append("  as Box has it; nothing is pending")
    else:
        lines.append(f"  {pending['state']}: {', '.join(pending['what'])} to be sent")
        if pending["sent"]:
            lines.append(f"  sent so far: {format_size(pending['sent'])} of {format_size(pending['size'])}")
        if pending["error"]:
            again = pending["retry_ns"] / 1e9 - now
            when = f"tried again in {format_seconds(again)}" if again > 0 else "tried again now"
            lines.append(f"  failed {pending['attempts']} times: {pending['error']}; {when}, or by `boxfs retry`")
    if box is None:
        lines.append("  Box has never had it")
    else:
        version = f", version {box['version']}" if box["version"] else ""
        known = [f"{box['name']!r}"] if box["name"] else []  # the account's root folder has neither name nor etag
        known += [f"id {box['id']}"] + ([f"etag {box['etag']}"] if box["etag"] is not None else [])
        lines.append(f"  at Box: {', '.join(known)}{version}")
        denied = [what for what in ("download", "upload") if box[f"can_{what}"] is False]
        if denied:
            lines.append(f"  your role there does not allow: {', '.join(denied)}")
    if "cached_bytes" in told:
        lines.append(f"  on this machine: {format_size(told['cached_bytes'])} of {format_size(told['size'])}")
    if "listed" in told:
        lines.append("  its listing is known" if told["listed"] else "  its listing was not asked for yet")
    if told["stale"]:
        lines.append(f"  to be asked again: {told['stale']}")
    if not network["online"]:
        lines.append(f"  Box cannot be reached: {network['why']}")
    if told["last_event_s"]:
        lines.append(f"  Box last told something {format_seconds(max(0.0, now - told['last_event_s']))} ago")
    return lines


@click.command("retry", short_help="Try now what could not be sent.")
@click.argument("path", required=False, shell_complete=completing.file)
def retry(path: str | None) -> int:
    """Try everything that failed (below PATH) again now, instead of when its time comes."""
    for running, inside in mount_of_argument(path):
        told = control.call(Path(running.socket), "retry", {"path": inside})
        click.echo(f"{running.mountpoint}: {told['retried']} tried again")
    return Exit.OK


@click.command("rescue", short_help="Copy out what Box has not got.")
@click.argument("mountpoint", shell_complete=completing.mountpoint)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def rescue(mountpoint: str, folder: Path) -> int:
    """Copy every content of the mount at MOUNTPOINT that Box has not got yet to FOLDER, under its path."""
    told = _ask(mountpoint, "rescue", timeout_s=None, target=os.path.abspath(folder))
    bad = [(path, error) for path, error in told["files"] if error]
    for path, error in bad:
        click.echo(f"boxfs: {path}: {error}", err=True)
    click.echo(f"{len(told['files']) - len(bad)} files copied to {folder}")
    return Exit.FAILED if bad else Exit.OK


@click.command("pin", short_help="Keep a file or folder on this machine.")
@click.argument("path", shell_complete=completing.file)
def pin(path: str) -> int:
    """Fetch everything below PATH, and never drop it for room."""
    line = StatusLine()

    def show(progress: Any) -> None:
        line.show(f"{progress['files']} files, {format_size(progress['bytes'])} here; fetching {progress['path']}")

    ((running, inside),) = mount_of_argument(path)
    try:
        told = control.call(Path(running.socket), "pin", {"path": inside}, progress=show, timeout_s=None)
    finally:
        line.close()
    for inside, error in told["errors"].items():
        click.echo(f"boxfs: {inside}: {error}; it is tried again", err=True)
    click.echo(f"pinned {told['files']} files, {format_size(told['bytes'])}")
    return Exit.FAILED if told["errors"] else Exit.OK


@click.command("unpin", short_help="Undo pin.")
@click.argument("path", shell_complete=completing.file)
def unpin(path: str) -> int:
    """Let what is below PATH be dropped again when the cache is full."""
    click.echo(f"unpinned {_ask(path, 'unpin', timeout_s=None)['files']} files")
    return Exit.OK


@click.command("evict", short_help="Drop cached contents now.")
@click.argument("path", shell_complete=completing.file)
def evict(path: str) -> int:
    """Drop the cached contents of what is below PATH; what Box has not got stays."""
    told = _ask(path, "evict", timeout_s=None)
    click.echo(f"dropped {format_size(told['bytes'])} of {told['files']} files")
    return Exit.OK


@click.group("cache", short_help="The cache of a mount.")
def cache() -> None:
    """Look at and clear what a mount keeps of Box's contents."""


@cache.command("clear", short_help="Drop all cached contents.")
@click.argument("mountpoint", required=False, shell_complete=completing.mountpoint)
def clear(mountpoint: str | None) -> int:
    """Drop all cached contents of the mount at MOUNTPOINT (of all mounts); what Box has not got stays."""
    for running, _ in mount_of_argument(mountpoint):
        told = control.call(Path(running.socket), "clear_cache", timeout_s=None)
        click.echo(f"{running.mountpoint}: dropped {format_size(told['bytes'])}")
    return Exit.OK


@cache.command("show")
def show_cache() -> int:
    """Show how much each mount keeps."""
    for running in mounts.running_mounts():
        try:
            held = control.call(Path(running.socket), "status").get("cache", {})
        except CliError:
            continue
        click.echo(f"{running.mountpoint}: {format_size(held['bytes'])} of {format_size(held['limit'])}")
    return Exit.OK
