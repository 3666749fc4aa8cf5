"""Where a benchmark runs: an island of its own, on which the hosts of Box are this machine, and the emulator there.

Both systems speak TLS to the same server, by Box's own names, as they would to Box.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support import certificates
from tests.support.box import Box, EmulatorProcess

HOSTS = ("api.box.com", "upload.box.com", "account.box.com", "dl.boxcloud.com")
_MARK = "BOXFS_BENCH_ISLAND"


def move_to_island(folder: Path, words: Sequence[str]) -> None:
    """Run `python -m bench WORDS` again in namespaces of its own, where nothing is seen from outside.  Needs root."""
    if os.environ.get(_MARK):
        return
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {' '.join(HOSTS)}\n")
    script = f"ip link set lo up && mount --make-rprivate / && mount --bind '{hosts}' /etc/hosts && exec \"$@\""
    proxies = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    env = {name: value for name, value in os.environ.items() if name.lower() not in proxies} | {_MARK: str(folder)}
    command = [
        "unshare",
        "--mount",
        "--net",
        "sh",
        "-c",
        script,
        "sh",
        sys.executable,
        *(os.environ.get("BOXFS_BENCH_MAIN", "-m bench").split()),
        *words,
    ]
    os.execvpe(command[0], command, env)


def island_folder() -> Path | None:
    """The folder that the island was made with; None outside."""
    told = os.environ.get(_MARK)
    return Path(told) if told else None


class Server:
    """The emulator as api.box.com, and someone else who works on its account."""

    def __init__(self, folder: Path) -> None:
        pems = certificates.make(folder, [*HOSTS, "127.0.0.1", "localhost"])
        self.authority = pems.authority
        tls = ["--tls-cert", str(pems.certificate), "--tls-key", str(pems.key), "--host", "127.0.0.1"]
        self.process = EmulatorProcess(folder / "data", tls, port=443).start()
        self.box = Box("https://api.box.com")
        self.box.session.verify = str(pems.authority)

    def close(self) -> None:
        self.box.close()
        self.process.stop()
