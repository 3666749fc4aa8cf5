"""boxfs status [PATH] [--json]: what every mount is doing, and one file's state."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from boxfs.base.units import format_seconds, format_size
from boxfs.cli import completing, control, mounts
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.progress import uploads_left

SHOWN = 8  # uploads, and problems, at most


@click.command("status", short_help="What every mount is doing.")
@click.argument("path", required=False, shell_complete=completing.file)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(path: str | None, as_json: bool) -> int:
    """Show every mount; of PATH, a mount or a file in one, that one alone."""
    if path is None:
        chosen = mounts.running_mounts()
    else:
        one = mounts.mount_of(path)
        if one is None:
            raise CliError(f"{path} is in no running mount of boxfs", Exit.NO_INPUT)
        chosen = [one]
    found = [ask(one) for one in chosen]
    if as_json:
        click.echo(json.dumps({"mounts": found}, indent=2))
        return Exit.OK
    if not found:
        click.echo("no mount is running")
    for status in found:
        click.echo("\n".join(describe(status)))
    return Exit.OK


def ask(running: mounts.Running) -> dict[str, Any]:
    """Return the status of one mount; {"state": "dead" or "silent", …} where its process does not answer."""
    known = {
        "mountpoint": running.mountpoint,
        "remote": running.remote,
        "pid": running.pid,
        "cache_dir": running.cache_dir,
    }
    if not running.alive():
        return {**known, "state": "dead"}
    try:
        answer: dict[str, Any] = control.call(Path(running.socket), "status", timeout_s=10)
    except control.NotRunning:
        return {**known, "state": "starting or ending"}
    except CliError as error:
        return {**known, "state": "silent", "errors": [str(error)]}
    return {**known, **answer}


def _budget(calls: Mapping[str, Any]) -> str:
    return f" of {calls['budget']}" if calls.get("budget") else ""


def _upload(upload: Mapping[str, Any]) -> str:
    done = f": {format_size(upload['sent'])} of {format_size(upload['bytes'])}" if upload.get("sent") else ""
    return f"{upload['path']}{done}"


def describe(status: Mapping[str, Any]) -> list[str]:
    """Return the lines that a person reads of one mount."""
    lines = [f"{status['remote']} at {status['mountpoint']}: {status['state']}"]

    def say(what: str, text: str) -> None:
        lines.append(f"  {what:<9} {text}")

    def say_some(what: str, texts: Sequence[str]) -> None:
        for text in texts[:SHOWN]:
            say(what, text)
        if len(texts) > SHOWN:
            say(what, f"and {len(texts) - SHOWN} more: `boxfs status --json` names them")

    if status["state"] == "dead":
        say("note", "its process is gone; `boxfs mount` clears the place, and nothing that was saved is lost")
    if account := status.get("account"):
        say("account", f"{account.get('name', '')} <{account.get('login', '')}>".strip())
    if "pending" in status:
        say("pending", uploads_left(status["pending"]))
    say_some("uploading", [_upload(each) for each in status.get("uploading", ())])
    if cache := status.get("cache"):
        say("cache", f"{format_size(cache.get('bytes', 0))} of {format_size(cache.get('limit', 0))}")
    if status.get("last_event_s"):
        say("heard", f"{format_seconds(max(0.0, time.time() - status['last_event_s']))} ago")
    if "calls" in status:
        calls = status["calls"]
        say("calls", f"{calls['total']} since the start, {calls['month']} this month{_budget(calls)}")
    say_some("problem", [f"{each.get('path', '')}: {each.get('error', '')}" for each in status.get("problems", ())])
    for error in status.get("errors", ()):
        say("error", str(error))
    say("process", f"{status['pid']}, local state in {status['cache_dir']}")
    return lines
