"""A mount in the background: a child, in the foreground there; we wait until it is ready and of a session of its own.

Nothing forks after threads have begun, and the one code path of the foreground serves both.  What goes wrong before the
mount is ready is told by the parent, with the child's exit code.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from boxfs.cli.exits import CliError, Exit
from boxfs.cli.ready import READY_FD

# A cold start lists one folder and asks for the account; with Box slow and the network retried it may take its time.
START_TIMEOUT_S = 180.0


def start(arguments: Sequence[str], tell: Callable[[str], None]) -> None:
    """Run `boxfs ARGUMENTS` in the background; return when it is ready.  Raises CliError with what it says else.

    tell: hears what it waits for.
    """
    read_end, write_end = os.pipe()
    try:
        # Not our stderr: whoever waits for our pipe to close must not wait for the mount's whole life.
        with tempfile.TemporaryFile() as errors:
            child = subprocess.Popen(
                [sys.executable, "-m", "boxfs", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=(write_end,),
                env={**os.environ, READY_FD: str(write_end)},
                # Of our session until it is mounted (MountProcess._on_ready): under an automount of systemd only the
                # group of processes that systemd gave to mount(8) may touch the place; all others wait for the mount.
            )
            os.close(write_end)
            write_end = -1
            message = _outcome(read_end, tell)
            if message is None:
                child.terminate()
                raise CliError(f"the mount was not ready after {START_TIMEOUT_S:g} s; given up", Exit.UNAVAILABLE)
            if "ready" in message:
                child.returncode = 0  # it outlives us on purpose: no ResourceWarning
                return
            code = child.wait()
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()
            if "error" in message:
                # What libfuse and fusermount3 say goes to stderr alone.
                theirs = [line for line in said if line.startswith("fuse")]
                raise CliError(" ".join([message["error"], *theirs[-1:]]), message.get("code", Exit.FAILED))
            last = said[-1:] or ["it said nothing"]
            raise CliError(f"the mount ended at once (status {code}): {last[0].removeprefix('boxfs: ')}", Exit.INTERNAL)
    finally:
        os.close(read_end)
        if write_end >= 0:
            os.close(write_end)


def _outcome(fd: int, tell: Callable[[str], None]) -> dict[str, Any] | None:
    """Return how the start went, {} where the child died; None after START_TIMEOUT_S of silence."""
    deadline = time.monotonic() + START_TIMEOUT_S
    got = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            return None
        part = os.read(fd, 65536)
        if not part:
            return {}
        *lines, got = (got + part).split(b"\n")
        for line in lines:
            message: dict[str, Any] = json.loads(line)
            if "waiting" not in message:
                return message
            tell(message["waiting"])
            deadline = time.monotonic() + START_TIMEOUT_S
