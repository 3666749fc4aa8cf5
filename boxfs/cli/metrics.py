"""boxfs metrics: the numbers of all mounts in Prometheus' text format, printed or served to a scraper on loopback."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import click

from boxfs.cli import mounts
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.status import ask

# name: (kind, help, where it stands in a status)
_SERIES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "pending_changes": ("gauge", "Changes that Box has not got yet.", ("pending", "items")),
    "pending_bytes": ("gauge", "Bytes that Box has not got yet.", ("pending", "bytes")),
    "failed_changes": ("gauge", "Pending changes that failed at least once.", ("pending", "failed")),
    "cache_bytes": ("gauge", "Disk that cached contents take.", ("cache", "bytes")),
    "cache_limit_bytes": ("gauge", "Disk that cached contents may take.", ("cache", "limit")),
    "cache_hit_bytes_total": ("counter", "Bytes read from the cache.", ("cache", "hit_bytes")),
    "cache_miss_bytes_total": ("counter", "Bytes that were fetched for a read.", ("cache", "miss_bytes")),
    "last_event_seconds": ("gauge", "When Box last told something, seconds since the epoch.", ("last_event_s",)),
    "calls_total": ("counter", "Calls to Box that count against the plan.", ("calls", "total")),
    "calls_month": ("gauge", "Calls to Box in this month.", ("calls", "month")),
    "calls_failed_total": ("counter", "Requests that got no answer.", ("calls", "failed")),
    "sent_bytes_total": ("counter", "Bytes sent to Box.", ("calls", "sent_bytes")),
    "received_bytes_total": ("counter", "Bytes of contents received from Box.", ("calls", "received_bytes")),
}


def exposition(statuses: Iterable[Mapping[str, Any]]) -> str:
    """Return the text that Prometheus scrapes (exposition format 0.0.4)."""
    return "".join(f"{line}\n" for line in _lines(list(statuses)))


def _lines(statuses: list[Mapping[str, Any]]) -> Iterator[str]:
    yield "# HELP boxfs_up Whether the mount's process answers."
    yield "# TYPE boxfs_up gauge"
    for status in statuses:
        yield f"boxfs_up{_labels(status)} {int('pending' in status)}"
    yield "# HELP boxfs_online Whether Box answers the mount."
    yield "# TYPE boxfs_online gauge"
    for status in statuses:
        yield f"boxfs_online{_labels(status)} {int(status.get('state') == 'online')}"
    for name, (kind, text, path) in _SERIES.items():
        rows = [(status, value) for status in statuses if (value := _at(status, path)) is not None]
        if rows:
            yield f"# HELP boxfs_{name} {text}"
            yield f"# TYPE boxfs_{name} {kind}"
            for status, value in rows:
                yield f"boxfs_{name}{_labels(status)} {value}"
    yield "# HELP boxfs_calls_by_kind_total Calls to Box by method and path."
    yield "# TYPE boxfs_calls_by_kind_total counter"
    for status in statuses:
        for call, count in sorted(status.get("calls", {}).get("by_kind", {}).items()):
            yield f"boxfs_calls_by_kind_total{_labels(status, call=call)} {count}"


def _at(status: Mapping[str, Any], path: tuple[str, ...]) -> int | float | None:
    value: Any = status
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, int | float) else None


def _labels(status: Mapping[str, Any], **more: str) -> str:
    pairs = {"mountpoint": str(status["mountpoint"]), "remote": str(status["remote"]), **more}
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for value in pairs.values())
    return "{" + ",".join(f'{name}="{value}"' for name, value in zip(pairs, quoted, strict=True)) + "}"


def gather() -> str:
    return exposition(ask(one) for one in mounts.running_mounts())


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.partition("?")[0] not in ("/metrics", "/"):
            self.send_error(404)
            return
        body = gather().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A scrape every few seconds is no news."""


@click.command("metrics", short_help="The numbers of all mounts, for Prometheus.")
@click.option("--listen", metavar="HOST:PORT", help="Serve them at http://HOST:PORT/metrics until Ctrl-C.")
def command(listen: str | None) -> int:
    """Print the numbers of all mounts in Prometheus' text format, or serve them."""
    if listen is None:
        click.echo(gather(), nl=False)
        return Exit.OK
    host, _, port = listen.rpartition(":")
    try:
        server = ThreadingHTTPServer((host.strip("[]") or "127.0.0.1", int(port)), _Handler)
    except ValueError:
        raise CliError(f"{listen!r} is not HOST:PORT", Exit.USAGE) from None
    except OSError as error:
        raise CliError(f"cannot listen at {listen}: {error.strerror}", Exit.CANNOT_CREATE) from None
    with server:
        click.echo(f"http://{host or '127.0.0.1'}:{server.server_address[1]}/metrics", err=True)
        server.serve_forever()
    return Exit.OK
