"""The end of a login in the browser: a server on a loopback port takes Box's redirect, once, and says how it went."""

from __future__ import annotations

import html
import queue
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from boxfs.base.errors import FsError

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>boxfs</title><style>
:root {{ color-scheme: light dark; font: 18px/1.5 system-ui, sans-serif }}
main {{ max-width: 32rem; margin: 18vh auto; padding: 0 1rem }} h1 {{ font-size: 1.4rem }}
</style></head><body><main><h1>{title}</h1><p>{text}</p></main></body></html>
"""


class Loopback:
    """Listens at the redirect URI (http://localhost:PORT/…; port 0 in it: a free one).

    finish: called with the whole URL that came; raises FsError where the login failed, which the page then tells.
    """

    def __init__(self, redirect_uri: str, finish: Callable[[str], str]) -> None:
        parts = urlsplit(redirect_uri)
        self._results: queue.Queue[str | FsError] = queue.Queue()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if urlsplit(self.path).path != (parts.path or "/"):
                    self.send_error(404)  # the browser's favicon.ico
                    return
                result: str | FsError
                try:
                    result = finish(f"{redirect_uri}?{urlsplit(self.path).query}")
                except FsError as error:
                    result = error
                try:
                    self._say(*_told(result))
                finally:
                    # Last, since the program may end as soon as it knows: the page must be out by then.
                    outer._results.put(result)

            def _say(self, status: int, title: str, text: str) -> None:
                body = _PAGE.format(title=html.escape(title), text=html.escape(text)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                # The code stands in this page's address: it must not go along to anybody.
                self.send_header("Referrer-Policy", "no-referrer")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Addresses hold the code: nothing of them is logged."""

        self._server = ThreadingHTTPServer((parts.hostname or "127.0.0.1", parts.port or 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="login", daemon=True)

    def wait(self, timeout_s: float) -> str | None:
        """Return who logged in, None after `timeout_s` seconds.  Raises what `finish` raised."""
        self._thread.start()
        try:
            result = self._results.get(timeout=timeout_s)
        except queue.Empty:
            return None
        finally:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
        if isinstance(result, FsError):
            raise result
        return result


def _told(result: str | FsError) -> tuple[int, str, str]:
    """Return status, title and text of the page."""
    if isinstance(result, FsError):
        return 400, "The login did not work", f"{result}. You can close this page and try again in the terminal."
    return 200, "You are logged in", f"boxfs now works with the Box account of {result}. You can close this page."
