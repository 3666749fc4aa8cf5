"""The account that both systems work on: the emulator as api.box.com, and someone else who works there too."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.island import HOSTS
from bench.measure import MIB
from tests.support import certificates
from tests.support.box import Box, EmulatorProcess


@dataclass(frozen=True)
class Account:
    """url: of the API.  pid: the server's.  authority: whom to trust, where it speaks TLS by Box's names."""

    box: Box
    url: str
    pid: int
    authority: Path | None = None


@contextmanager
def as_box(folder: Path) -> Iterator[Account]:
    """A new account, on an island.  Both systems speak TLS to one server by Box's names, as they would to Box."""
    pems = certificates.make(folder, [*HOSTS, "127.0.0.1", "localhost"])
    tls = ["--tls-cert", str(pems.certificate), "--tls-key", str(pems.key), "--host", "127.0.0.1"]
    with EmulatorProcess(folder / "data", tls, port=443) as process:
        box = Box("https://api.box.com")
        box.session.verify = str(pems.authority)
        try:
            yield Account(box, box.url, process.pid, pems.authority)
        finally:
            box.close()


def wire_mib_s(folder: Path, attempts: int = 3) -> float:
    """How quick curl downloads 256 MiB from such a server over one connection, at best."""
    with as_box(folder) as account:
        item = account.box.upload("/wire", bytes(256 * MIB))["id"]
        answer = account.box.ask("GET", f"/2.0/files/{item}/content", allow_redirects=False)
        command = ["curl", "-sS", "--cacert", str(account.authority), "-o", "/dev/null", "-w", "%{speed_download}"]
        found = [
            subprocess.run([*command, answer.headers["Location"]], capture_output=True, text=True, check=True).stdout
            for _ in range(attempts)
        ]
        return max(map(float, found)) / MIB
