"""boxfs top: every mount, live: what it sends and fetches, calls a minute and this month, cache, queue, errors."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from boxfs.base.units import format_seconds, format_size
from boxfs.cli import mounts
from boxfs.cli.exits import Exit
from boxfs.cli.progress import uploads_left
from boxfs.cli.status import SHOWN, ask, describe

_SHOWN_KINDS = 6


class Rates:
    """Bytes and calls a second between two looks at one mount."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, float]] = {}

    def of(self, key: str, value: float, now: float) -> float:
        before = self._last.get(key)
        self._last[key] = (now, value)
        if before is None or now <= before[0]:
            return 0.0
        return max(0.0, (value - before[1]) / (now - before[0]))


def view(statuses: Sequence[Mapping[str, Any]], rates: Rates, now: float) -> Group:
    """Return what the screen shows."""
    if not statuses:
        return Group(Text("no mount is running"))
    return Group(*(_mount(status, rates, now) for status in statuses))


def _mount(status: Mapping[str, Any], rates: Rates, now: float) -> Panel:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    if "calls" not in status:  # dead, silent, starting, ending: it says nothing, and nothing is made up
        for line in describe(status)[1:]:
            what, _, text = line.strip().partition(" ")
            table.add_row(what, Text(text.strip()))
        return _panel(table, status)
    place = str(status["mountpoint"])
    calls = status.get("calls", {})
    sent = rates.of(f"{place} sent", calls.get("sent_bytes", 0), now)
    received = rates.of(f"{place} received", calls.get("received_bytes", 0), now)
    table.add_row("traffic", f"up {format_size(sent)}/s   down {format_size(received)}/s")
    table.add_row("queue", uploads_left(status.get("pending", {})))
    for upload in list(status.get("uploading", ()))[:SHOWN]:
        done = f"  {format_size(upload['sent'])} of {format_size(upload['bytes'])}" if upload.get("bytes") else ""
        table.add_row("", Text(f"{upload.get('path', '')}{done}", overflow="ellipsis", no_wrap=True))
    table.add_row("calls", _calls(calls))
    kinds = sorted(calls.get("by_kind", {}).items(), key=lambda pair: -pair[1])[:_SHOWN_KINDS]
    if kinds:
        table.add_row("", Text("   ".join(f"{kind} {count}" for kind, count in kinds), style="dim"))
    cache = status.get("cache", {})
    if cache:
        hit, miss = cache.get("hit_bytes", 0), cache.get("miss_bytes", 0)
        share = f"   {100 * hit / (hit + miss):.0f} % of what was read came from it" if hit + miss else ""
        table.add_row("cache", f"{format_size(cache.get('bytes', 0))} of {format_size(cache.get('limit', 0))}{share}")
    if status.get("last_event_s"):
        table.add_row("heard", f"{format_seconds(max(0.0, now - status['last_event_s']))} ago")
    for problem in list(status.get("problems", ()))[:SHOWN]:
        table.add_row("problem", Text(f"{problem.get('path', '')}: {problem.get('error', '')}", style="red"))
    for error in status.get("errors", ()):
        table.add_row("error", Text(str(error), style="red"))
    return _panel(table, status)


def _panel(table: Table, status: Mapping[str, Any]) -> Panel:
    state = str(status["state"])
    style = "green" if state == "online" else "yellow" if "pending" in status else "red"
    title = Text.assemble(f"{status['remote']} at {status['mountpoint']}  ", (state, style))
    return Panel(table, title=title, title_align="left", border_style=style)


def _calls(calls: Mapping[str, Any]) -> str:
    text = f"{calls.get('last_minute', 0)} in the last minute, {calls.get('month', 0)} this month"
    if calls.get("budget"):
        text += f" of {calls['budget']} ({100 * calls.get('month', 0) / calls['budget']:.1f} %)"
    return text


@click.command("top", short_help="Every mount, live.")
@click.option("-i", "--interval", default=1.0, show_default=True, help="Seconds between two looks.")
@click.option("-n", "--count", type=int, help="End after so many looks (not a terminal: one).")
@click.option("--json", "as_json", is_flag=True, help="For programs: a line of JSON for each look.")
def command(interval: float, count: int | None, as_json: bool) -> int:
    """Show what every mount does, live, until Ctrl-C."""
    console = Console()
    rates = Rates()
    if as_json:
        for number in range(count or 1):
            if number:
                time.sleep(interval)
            click.echo(json.dumps({"time": time.time(), "mounts": [ask(one) for one in mounts.running_mounts()]}))
        return Exit.OK

    def look() -> Group:
        return view([ask(one) for one in mounts.running_mounts()], rates, time.time())

    if not console.is_terminal:
        for number in range(count or 1):
            if number:
                time.sleep(interval)
            console.print(look())
        return Exit.OK
    seen = 1
    with Live(look(), console=console, screen=True, auto_refresh=False) as live:
        while count is None or seen < count:
            time.sleep(max(0.1, interval))
            live.update(look(), refresh=True)
            seen += 1
    return Exit.OK
