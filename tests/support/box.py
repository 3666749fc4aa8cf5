"""A Box for tests: the emulator as a process, and "someone else" at work on the same account.

`EmulatorProcess` starts `python -m boxfs.emulator` and waits for its ready line.  `Box` uses plain requests and no
code of boxfs, so that a test never checks boxfs against itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, NamedTuple

import requests

READY = "boxfs emulator ready: "
PATIENCE_S = 60.0
TOKEN = "dev-token"
OTHER_TOKEN = "bob-token"
QUIET_PORTS = (15000, 32000)
"""Below the ports that the kernel gives to outgoing connections: one of those could take ours during a restart."""


class EmulatorProcess:
    """The emulator in a process of its own.

    data: its folder.  arguments: more of its command line ("--set", "part_size=65536").  `url` is the base of all
    APIs.  `kill` is kill -9; `start` after it comes back on the same port with the same data.  port 0: a free one.
    """

    def __init__(self, data: Path, arguments: Sequence[str] = (), port: int = 0) -> None:
        self.data, self.arguments = data, list(arguments)
        self.url = ""
        self._port = port
        self._process: subprocess.Popen[str] | None = None
        self._stderr = data.parent / f"{data.name}.stderr"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> EmulatorProcess:
        """Raises RuntimeError with what it said, if it does not come up."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._start(self._port or random.SystemRandom().randrange(*QUIET_PORTS))
            except RuntimeError as error:
                if "in use" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return self

    def _start(self, port: int) -> None:
        command = [sys.executable, "-m", "boxfs.emulator", "--data", str(self.data), "--port", str(port)]
        self._stderr.unlink(missing_ok=True)
        with self._stderr.open("a") as stderr:
            self._process = subprocess.Popen(
                command + self.arguments, stdout=subprocess.PIPE, stderr=stderr, stdin=subprocess.DEVNULL, text=True,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            )  # fmt: skip
        line = self._first_line()
        if not line.startswith(READY):
            self.kill()
            raise RuntimeError(f"the emulator did not start: {line!r} {self._stderr.read_text()[-2000:]}")
        self.url = line.removeprefix(READY).strip()
        self._port = port

    def _first_line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        stdout = self._process.stdout
        lines: queue.Queue[str] = queue.Queue()
        thread = threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True)
        thread.start()
        try:
            return lines.get(timeout=PATIENCE_S)
        except queue.Empty:
            return ""

    def stop(self) -> None:
        """SIGTERM, and kill -9 if it does not go."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE_S)
        self.kill()

    def kill(self) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def restart(self) -> None:
        """kill -9, then start again: same port, same data."""
        self.kill()
        self.start()

    def __enter__(self) -> EmulatorProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Entry(NamedTuple):
    """What `Box.tree` says of an item.  sha1: of files, else None."""

    kind: str
    id: str
    sha1: str | None
    size: int


class Refused(Exception):
    """An answer of 400 or more."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__(f"{response.request.method} {response.request.url}: {response.status_code} {response.text}")
        self.response = response
        self.status = response.status_code

    @property
    def code(self) -> str:
        return str(self.response.json()["code"])


class Box:
    """Someone who works on the account over HTTP.

    Places are paths ("/Reports/a.txt") or ids; a path is looked up by listing.  Times are RFC 3339 strings.
    """

    watch: ClassVar[Callable[[requests.Response], None] | None] = None
    """Sees every reply: the tests of the emulator validate them."""

    def __init__(self, url: str, token: str = TOKEN) -> None:
        self.url, self.token = url, token
        self.session = requests.Session()
        self.session.trust_env = False  # no proxies, no netrc
        self.session.headers["Authorization"] = f"Bearer {token}"
        self.session.hooks["response"].append(self._show)

    def as_user(self, token: str) -> Box:
        """The same server with another token; close it."""
        return Box(self.url, token)

    @classmethod
    def _show(cls, reply: requests.Response, **_options: Any) -> None:
        if cls.watch is not None:
            cls.watch(reply)

    def close(self) -> None:
        self.session.close()

    # Any call

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request; errors are answers too.  path: "/2.0/…"."""
        return self.session.request(method, path if "://" in path else self.url + path, timeout=PATIENCE_S, **options)

    def call(self, method: str, path: str, **options: Any) -> Any:
        """One request; its JSON.  Raises Refused."""
        response = self.ask(method, path, **options)
        if response.status_code >= 400:
            raise Refused(response)
        return response.json() if response.content else None

    # Looking

    def me(self) -> dict[str, Any]:
        return dict(self.call("GET", "/2.0/users/me"))

    def entries(self, folder: str = "0", fields: str = "type,id,name,etag,size,sha1") -> list[dict[str, Any]]:
        """All entries of a folder."""
        folder_id, found, offset = self.folder_id(folder), [], 0
        while True:
            page = self.call(
                "GET", f"/2.0/folders/{folder_id}/items", params={"limit": 1000, "offset": offset, "fields": fields}
            )
            found += page["entries"]
            offset += 1000
            if offset >= page["total_count"]:
                return found

    def find(self, path: str) -> dict[str, Any]:
        """The entry at a path.  Raises FileNotFoundError."""
        entry: dict[str, Any] = {"type": "folder", "id": "0"}
        for name in path.strip("/").split("/") if path.strip("/") else []:
            entry = next((e for e in self.entries(entry["id"]) if e["name"] == name), {})
            if not entry:
                raise FileNotFoundError(path)
        return entry

    def exists(self, path: str) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return bool(self.find(path))
        return False

    def folder_id(self, place: str) -> str:
        return place if place.isdecimal() else str(self.find(place)["id"])

    def file(self, path: str, fields: str | None = None) -> dict[str, Any]:
        """The file at a path as GET gives it."""
        return self.get("file", self.find(path)["id"], fields)

    def get(self, kind: str, item_id: str, fields: str | None = None) -> dict[str, Any]:
        return dict(self.call("GET", f"/2.0/{kind}s/{item_id}", params={"fields": fields} if fields else None))

    def read(self, path: str) -> bytes:
        response = self.ask("GET", f"/2.0/files/{self.find(path)['id']}/content")
        if response.status_code != 200:
            raise Refused(response)
        return response.content

    def tree(self, user: str | None = None) -> dict[str, Entry]:
        """The whole tree, past the API: path -> (kind, id, sha1, size).  Not counted in `calls`."""
        reply = self.call("GET", "/_emulator/tree", params={"user": user} if user else None)
        return {p: Entry(i["type"], i["id"], i["sha1"], i["size"]) for p, i in reply["items"].items()}

    def files(self, user: str | None = None) -> dict[str, str]:
        """Paths of all files with their sha1, past the API."""
        return {path: entry.sha1 or "" for path, entry in self.tree(user).items() if entry.kind == "file"}

    def trash(self) -> list[dict[str, Any]]:
        reply = self.call("GET", "/2.0/folders/trash/items", params={"limit": 1000, "fields": "name,type,id"})
        return list(reply["entries"])

    def versions(self, path: str) -> list[dict[str, Any]]:
        """Past versions, newest first."""
        return list(self.call("GET", f"/2.0/files/{self.find(path)['id']}/versions")["entries"])

    # Changing

    def mkdir(self, path: str) -> str:
        """Make a folder; the parent must exist.  Returns its id."""
        parent, _, name = path.rstrip("/").rpartition("/")
        body = {"name": name, "parent": {"id": self.folder_id(parent or "0")}}
        return str(self.call("POST", "/2.0/folders", json=body)["id"])

    def makedirs(self, path: str) -> str:
        """Make a folder and what is missing above it."""
        folder = "0"
        for name in path.strip("/").split("/"):
            entry = next((e for e in self.entries(folder) if e["name"] == name), None)
            if entry is None:
                entry = self.call("POST", "/2.0/folders", json={"name": name, "parent": {"id": folder}})
            folder = str(entry["id"])
        return folder

    def upload(self, path: str, content: bytes, modified_at: str | None = None) -> dict[str, Any]:
        """A new file at the path."""
        parent, _, name = path.rpartition("/")
        attributes: dict[str, Any] = {"name": name, "parent": {"id": self.folder_id(parent or "0")}}
        if modified_at:
            attributes["content_modified_at"] = modified_at
        return self._send("/api/2.0/files/content", attributes, content)

    def new_version(self, path: str, content: bytes, etag: str | None = None) -> dict[str, Any]:
        headers = {"If-Match": etag} if etag else {}
        name = path.rpartition("/")[2]
        return self._send(f"/api/2.0/files/{self.find(path)['id']}/content", {"name": name}, content, headers)

    def put(self, path: str, content: bytes) -> dict[str, Any]:
        """A new version where there is a file, else a new file."""
        return self.new_version(path, content) if self.exists(path) else self.upload(path, content)

    def _send(
        self, path: str, attributes: Mapping[str, Any], content: bytes, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        form = [("attributes", (None, json.dumps(attributes))), ("file", ("unused", content))]
        return dict(self.call("POST", path, files=form, headers=headers)["entries"][0])

    def update(self, path: str, **body: Any) -> dict[str, Any]:
        entry = self.find(path)
        return dict(self.call("PUT", f"/2.0/{entry['type']}s/{entry['id']}", json=body))

    def rename(self, path: str, name: str) -> dict[str, Any]:
        return self.update(path, name=name)

    def move(self, path: str, folder: str, name: str | None = None) -> dict[str, Any]:
        """Move into another folder (path or id), perhaps with a new name."""
        body: dict[str, Any] = {"parent": {"id": self.folder_id(folder)}}
        return self.update(path, **body, **({"name": name} if name else {}))

    def delete(self, path: str) -> None:
        """To the trash, with all below."""
        entry = self.find(path)
        query = {"recursive": "true"} if entry["type"] == "folder" else None
        self.call("DELETE", f"/2.0/{entry['type']}s/{entry['id']}", params=query)

    def lock(self, path: str, expires_at: str | None = None) -> None:
        self.update(path, lock={"type": "lock", "expires_at": expires_at})

    # The server itself

    def settings(self, **knobs: Any) -> None:
        """Change knobs of the emulator."""
        self.call("PUT", "/_emulator/settings", json=knobs)

    @contextlib.contextmanager
    def knobs(self, **knobs: Any) -> Iterator[None]:
        """Knobs for the length of a block."""
        before = self.call("GET", "/_emulator/settings")
        self.settings(**knobs)
        try:
            yield
        finally:
            self.settings(**{name: before[name] for name in knobs})

    def bulk(self, items: Iterable[tuple[str, int | None]] = (), **spread: Any) -> int:
        """Many items at once, past the API and without events: (path, size of a file or None for a folder).

        Or folders=, files= (in each), size=, under=.  Returns how many were made.
        """
        body = spread or {"items": list(items)}
        return int(self.call("POST", "/_emulator/bulk", json=body)["made"])

    def fault(self, **fault: Any) -> None:
        """Add a fault to the plan."""
        self.call("POST", "/_emulator/faults", json=fault)

    def reset(self) -> None:
        """A fresh account, default knobs, empty log."""
        self.call("POST", "/_emulator/reset")

    def log(self) -> list[dict[str, Any]]:
        """Requests since the log was cleared, oldest first; those to /_emulator are not in it."""
        return list(self.call("GET", "/_emulator/log")["entries"])

    def mount_calls(self) -> list[str]:
        """What boxfs asked since the log was cleared ("GET /2.0/folders/{id}/items"), listening for events left out.

        Listening comes by time, not by work: `/events` and the long poll.
        """
        return [
            f"{entry['method']} {entry['template']}"
            for entry in self.log()
            if (entry["agent"] or "").startswith("boxfs/")
            and "/events" not in entry["template"]
            and "subscribe" not in entry["path"]
        ]

    def calls(self) -> dict[str, int]:
        """How often each endpoint was called since the log was cleared: "GET /2.0/folders/{id}/items" -> 3."""
        return dict(self.call("GET", "/_emulator/log")["counts"])

    def clear_log(self) -> None:
        self.call("POST", "/_emulator/log/clear")
