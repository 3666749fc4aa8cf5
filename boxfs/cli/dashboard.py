"""boxfs dashboard: a local web page with what `boxfs top` shows, as plots over the last hour.

Loopback only, and only for who has the token that stands in the printed address: other users of the machine can open
the port, but not the page.  The page loads nothing from elsewhere.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import threading
import time
import webbrowser
from collections import deque
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click

from boxfs.cli import mounts
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.status import ask
from boxfs.cli.top import Rates

_EVERY_S = 2.0
_KEPT = 1800  # looks: an hour


class History:
    """What the mounts said over time; one thread looks, others read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rates = Rates()
        self._rows: dict[str, deque[dict[str, float]]] = {}  # guarded by _lock, as the next
        self._statuses: list[Mapping[str, Any]] = []

    def add(self, statuses: Iterable[Mapping[str, Any]], now: float) -> None:
        statuses = list(statuses)
        with self._lock:
            self._statuses = statuses
            for status in statuses:
                place = str(status["mountpoint"])
                calls = status.get("calls", {})
                rows = self._rows.setdefault(place, deque(maxlen=_KEPT))
                rows.append(
                    {
                        "t": now,
                        "up": self._rates.of(f"{place} up", calls.get("sent_bytes", 0), now),
                        "down": self._rates.of(f"{place} down", calls.get("received_bytes", 0), now),
                        "calls": calls.get("last_minute", 0),
                        "items": status.get("pending", {}).get("items", 0),
                        "cache": status.get("cache", {}).get("bytes", 0),
                    }
                )
            for gone in self._rows.keys() - {str(status["mountpoint"]) for status in statuses}:
                del self._rows[gone]

    def told(self) -> list[dict[str, Any]]:
        with self._lock:
            return [
                {"status": dict(status), "history": list(self._rows[str(status["mountpoint"])])}
                for status in self._statuses
            ]


class Dashboard:
    """The server and the thread that looks.  `url` holds the token."""

    def __init__(self, port: int) -> None:
        """Raises OSError where the port is taken."""
        self.history = History()
        self._token = secrets.token_urlsafe(24)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._server.serve_forever, name="dashboard", daemon=True),
            threading.Thread(target=self._look, name="dashboard-look", daemon=True),
        ]
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/?token={self._token}"

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stop.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.server_close()

    def _look(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(CliError):
                self.history.add([ask(one) for one in mounts.running_mounts()], time.time())
            self._stop.wait(_EVERY_S)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                given = parse_qs(parts.query).get("token", [""])[0]
                # A page of somebody else's may have a name that leads to 127.0.0.1: only our own address is served.
                host = self.headers.get("Host", "").partition(":")[0]
                if host not in ("127.0.0.1", "localhost") or not hmac.compare_digest(given, outer._token):
                    self._say(
                        403, "text/plain", b"the address that boxfs dashboard printed holds a token; use that one\n"
                    )
                elif parts.path == "/":
                    page = resources.files("boxfs.cli").joinpath("dashboard.html").read_bytes()
                    self._say(200, "text/html; charset=utf-8", page)
                elif parts.path == "/data":
                    self._say(200, "application/json", json.dumps(outer.history.told()).encode())
                else:
                    self._say(404, "text/plain", b"not here\n")

            def _say(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("Referrer-Policy", "no-referrer")
                self.send_header("X-Frame-Options", "DENY")
                self.send_header(
                    "Content-Security-Policy",
                    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
                )
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Addresses hold the token: nothing of them is logged."""

        return Handler


@click.command("dashboard", short_help="A local web page with plots of every mount.")
@click.option("--port", default=0, help="A fixed port (else a free one).")
@click.option("--no-browser", is_flag=True, help="Print the address only.")
def command(port: int, no_browser: bool) -> int:
    """Serve a page with what every mount does, as plots over time, on this machine until Ctrl-C."""
    try:
        dashboard = Dashboard(port)
    except OSError as error:
        raise CliError(f"cannot listen on port {port}: {error.strerror}", Exit.CANNOT_CREATE) from None
    dashboard.start()
    click.echo(dashboard.url)
    if not no_browser:
        webbrowser.open(dashboard.url)
    try:
        threading.Event().wait()
    finally:
        dashboard.close()
    return Exit.OK
