"""How quick the emulator is: `python -m tests.bench.emulator`.

Small requests are sent over kept connections by a client that costs little; what counts is the server's own CPU time,
which says how many requests a second one core could serve.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.box import TOKEN, Box, EmulatorProcess

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
MIB = 1 << 20


class Wire:
    """One kept connection that speaks just enough HTTP."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 80))

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> int:
        """Send a request, read its reply; its length."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {TOKEN}\r\n"
        head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.socket.recv(65536)
        headers, _, rest = data.partition(b"\r\n\r\n")
        if headers[9:10] not in b"23":
            raise RuntimeError(headers.decode())
        length = next((int(h[15:]) for h in headers.lower().split(b"\r\n") if h.startswith(b"content-length:")), 0)
        left, buffer = length - len(rest), bytearray(MIB)
        while left > 0:
            left -= self.socket.recv_into(buffer)
        return length


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def measure(process: EmulatorProcess, name: str, count: int, call: Callable[[int], object]) -> None:
    cpu, start = cpu_s(process.pid), time.perf_counter()
    for number in range(count):
        call(number)
    took, used = time.perf_counter() - start, cpu_s(process.pid) - cpu
    print(f"{name:32} {count / took:8.0f}/s   {count / used if used else 0:8.0f}/s of one core")


def upload(wire: Wire, name: str) -> None:
    attributes = json.dumps({"name": name, "parent": {"id": "0"}})
    body = f'--b\r\nContent-Disposition: form-data; name="attributes"\r\n\r\n{attributes}\r\n'
    body += f'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n{name}\r\n--b--\r\n'
    wire.ask("POST", "/api/2.0/files/content", body.encode(), "multipart/form-data; boundary=b")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, EmulatorProcess(Path(folder) / "data") as process:
        box, wire = Box(process.url), Wire(process.url)
        file = box.upload("/f", b"x")["id"]
        measure(process, "GET users/me", 2000, lambda _n: wire.ask("GET", "/2.0/users/me"))
        measure(process, "GET file", 2000, lambda _n: wire.ask("GET", f"/2.0/files/{file}"))
        measure(process, "PUT file (rename)", 1000, lambda n: wire.ask(
            "PUT", f"/2.0/files/{file}", json.dumps({"name": f"r{n}"}).encode()))  # fmt: skip
        measure(process, "POST file of a few bytes", 1000, lambda n: upload(wire, f"n{n}"))
        box.bulk(folders=1, files=12_000, size=1, under="/B")
        listed = f"/2.0/folders/{box.folder_id('/B/d000000')}/items?limit=1000&offset="
        measure(process, "1,000 entries listed", 24, lambda n: wire.ask("GET", f"{listed}{n % 12}000"))
        content = os.urandom(MIB) * 256
        start = time.perf_counter()
        big = box.upload("/big", content)["id"]
        print(f"{'upload of 256 MiB':32} {256 / (time.perf_counter() - start):8.0f} MiB/s")
        reply = box.ask("GET", f"/2.0/files/{big}/content", allow_redirects=False)
        url = reply.headers["Location"]
        reader = Wire(url)
        start = time.perf_counter()
        for _ in range(4):
            reader.ask("GET", urlsplit(url).path)
        print(f"{'read over one connection':32} {1024 / (time.perf_counter() - start):8.0f} MiB/s")
        start = time.perf_counter()
        made = box.bulk(folders=20_000, files=50, size=1, under="/M")
        print(f"{'a million items put in':32} {time.perf_counter() - start:8.1f} s ({made:,})")
        for each in (wire, reader):
            each.socket.close()
        box.close()


if __name__ == "__main__":
    main()
