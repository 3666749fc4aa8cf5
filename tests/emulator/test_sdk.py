"""Box's official Python SDKs, 10 and 3.14, walk through all areas of the emulator, unmodified but for base URLs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import sdks
from tests.support.box import Box

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
WALKS = Path(__file__).parent / "walks"
PATIENCE_S = 300.0


@pytest.mark.parametrize("name", ["boxsdk10", "boxsdk3"])
def test_the_official_sdk_walks_through_all_areas(box: Box, name: str) -> None:
    config = box.call("GET", "/_emulator/application")["config"]
    done = subprocess.run(
        [sys.executable, WALKS / f"{name}.py", box.url, json.dumps(config)],
        env=os.environ | {"PYTHONPATH": str(sdks.installed(name)), "NO_PROXY": "*"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert done.stdout.endswith("walked to the end\n")
    failed = [entry for entry in box.log() if entry["status"] == 0 or entry["status"] >= 500]
    assert failed == []
