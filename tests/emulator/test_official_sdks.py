"""The official Python SDKs, neither written by us, walk through all areas unmodified but for their base URLs.

Both distributions are called boxsdk, so each is installed into a folder of its own beside the virtual environment and
runs in a process of its own.  Where they cannot be installed the test is skipped, with pip's reason.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.box import OTHER_TOKEN, TOKEN, Box

WALKS = Path(__file__).parent / "sdk"
INSTALL_S, WALK_S = 400, 240


def installed(version: str, fallback: Path) -> Path:
    """The folder that holds boxsdk of that version; installed once for all runs.  Skips where pip cannot."""
    home = Path(sys.prefix) if os.access(sys.prefix, os.W_OK) else fallback
    target = home / "boxsdk" / version
    target.parent.mkdir(exist_ok=True)
    with (target.parent / f"{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = target / "installed"
        if not done.exists():
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
            result = subprocess.run(
                [*pip, "--target", str(target), f"boxsdk=={version}"],
                capture_output=True, text=True, timeout=INSTALL_S, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            if result.returncode:
                pytest.skip(f"boxsdk {version} cannot be installed here: {result.stderr.strip()[-300:]}")
            done.touch()
    return target


@pytest.mark.timeout(INSTALL_S + WALK_S + 60)
@pytest.mark.parametrize(("version", "walk"), [("10.18.0", "walk10.py"), ("3.14.0", "walk3.py")])
def test_official_sdk_walks_through_all_areas(box: Box, tmp_path: Path, version: str, walk: str) -> None:
    target = installed(version, tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(box.call("GET", "/_emulator/application")["config"]))
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()} | {"PYTHONPATH": str(target)}
    result = subprocess.run(
        [sys.executable, str(WALKS / walk), box.url, TOKEN, OTHER_TOKEN, str(config)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=WALK_S, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.endswith("walked\n")
