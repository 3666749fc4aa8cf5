"""A mount in the background: a fork, in the foreground there; we wait until it is ready and of a session of its own.

It forks before any thread has begun and before most of boxfs is imported, and the one code path of the foreground
serves both.  What goes wrong before the mount is ready is told by the parent, with the child's exit code.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO, NoReturn

from boxfs.base.ending import leave
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.ready import READY_FD

# A cold start lists one folder; with Box slow and the network retried it may take its time.
START_TIMEOUT_S = 180.0
_MOST_FDS = 1 << 20


def start(serve: Callable[[], int], tell: Callable[[str], None]) -> None:
    """Run `serve`, a mount in the foreground, in the background; return when it is ready.

    tell: hears what it waits for.  Raises CliError with what it says else.
    """
    read_end, write_end = os.pipe()
    try:
        # Not our stderr: whoever waits for our pipe to close must not wait for the mount's whole life.
        with tempfile.TemporaryFile() as errors:
            child = os.fork()
            if not child:
                _be_the_mount(serve, errors, write_end)
            # The child is of our session until it is mounted (MountProcess._on_ready): under an automount of systemd
            # only the group of processes that systemd gave to mount(8) may touch the place; all others wait for it.
            os.close(write_end)
            write_end = -1
            message = _outcome(read_end, tell)
            if message is None:
                os.kill(child, signal.SIGTERM)
                raise CliError(f"the mount was not ready after {START_TIMEOUT_S:g} s; given up", Exit.UNAVAILABLE)
            if "ready" in message:
                return
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
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


def _be_the_mount(serve: Callable[[], int], errors: BinaryIO, write_end: int) -> NoReturn:
    """Keep nothing of what whoever called us has open, and never return to what the parent was doing."""
    code: int = Exit.INTERNAL
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for number, fd in enumerate((nothing, nothing, errors.fileno())):
            os.dup2(fd, number)
        os.closerange(3, write_end)
        os.closerange(write_end + 1, _MOST_FDS)
        os.environ[READY_FD] = str(write_end)
        code = serve()
    except CliError as error:
        sys.stderr.write(f"boxfs: {error}\n")
        code = error.code
    except BaseException:  # noqa: BLE001 - told, and the process ends
        traceback.print_exc()
    leave(code)


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
