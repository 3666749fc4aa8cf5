"""Box's official SDKs, each in a folder of its own: two versions of one package cannot live in one environment."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSIONS = {"boxsdk10": "boxsdk>=10,<11", "boxsdk3": "boxsdk[jwt]==3.14.0"}


def installed(name: str) -> Path:
    """The folder that holds the SDK, put there by pip the first time.  Raises RuntimeError with what pip said."""
    folder = Path(sys.prefix) / "sdks" / name
    folder.parent.mkdir(exist_ok=True)
    with open(folder.parent / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers may want it at once
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"),
                    *("--target", str(part), VERSIONS[name]),
                ],
                capture_output=True,
                text=True,
                check=False,
                timeout=600,
            )
            if done.returncode:
                raise RuntimeError(f"pip install {VERSIONS[name]} failed: {done.stderr[-2000:]}")
            os.rename(part, folder)
    return folder
