"""What a mount imports before it is mounted is what it needs: each module more is time that somebody waits."""

import json
import subprocess
import sys

MOUNT = ("main", "mount", "running", "begin", "wiring", "process")

# What other commands, other ways to log in, and what is done after the mount answers are made of.
NOT_YET = {
    "asyncio",
    "boxfs.api.oauth",
    "boxfs.api.resources",
    "boxfs.api.server_auth",
    "boxfs.api.tokenredis",
    "boxfs.cli.accounts",
    "boxfs.cli.dashboard",
    "boxfs.cli.login",
    "boxfs.cli.notifying",
    "boxfs.cli.status",
    "boxfs.cli.watching",
    "boxfs.emulator",
    "cryptography",
    "jwt",
    "keyring",
    "mfusepy",
    "multiprocessing",
    "redis",
    "rich",
    "starlette",
    "tomllib",
    "uvicorn",
    "watchdog",
    "xml",
}


def test_a_mount_imports_nothing_that_it_does_not_need_to_begin() -> None:
    modules = ", ".join(f"boxfs.cli.{name}" for name in MOUNT)
    code = f"import json, sys, {modules}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    loaded = set(json.loads(done.stdout))
    assert loaded & NOT_YET == set()
