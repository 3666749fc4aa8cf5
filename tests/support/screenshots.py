"""Pictures for the docs, of a real mount at work (scripts/screenshots)."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from boxfs.cli.status import ask
from boxfs.cli.top import Rates, view
from tests.support.box import Box, EmulatorProcess
from tests.support.browser import Browser
from tests.support.mounting import Mounted, eventually

LOOKS = 12  # of the dashboard, two seconds apart


def work(m: Mounted, number: int) -> None:
    """A little of everything: folders, small files, one large enough to be seen on its way."""
    folder = m.path / f"run {number}"
    folder.mkdir()
    for name in range(10 + 5 * (number % 4)):
        (folder / f"note {name}.txt").write_text("x" * 3000)
    (folder / "video.bin").write_bytes(os.urandom((3 + number % 3) << 20))
    list(m.path.rglob("*"))


def top(m: Mounted, target: Path) -> None:
    os.environ["XDG_RUNTIME_DIR"] = m.env["XDG_RUNTIME_DIR"]
    from boxfs.cli import mounts

    console = Console(record=True, width=100, file=io.StringIO())
    rates = Rates()
    for last in (False, True):
        shown = view([ask(one) for one in mounts.running_mounts()], rates, time.time())
        if last:
            console.print(shown)
        else:
            work(m, 99)
            time.sleep(2.5)  # into the uploads
    target.write_text(console.export_svg(title="boxfs top"))


def dashboard(m: Mounted, target: Path, profile: Path) -> None:
    command = [sys.executable, "-u", "-m", "boxfs", "dashboard", "--no-browser"]
    with subprocess.Popen(command, env=m.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        for number in range(LOOKS):
            work(m, number)
            time.sleep(2)
        browser = Browser(profile)
        try:
            browser.open(url)
            browser.wait("document.querySelectorAll('svg path').length >= 4")
            browser._ask(
                "Emulation.setDeviceMetricsOverride", width=1100, height=640, deviceScaleFactor=1, mobile=False
            )
            picture = browser._ask("Page.captureScreenshot", format="png")["data"]
        finally:
            browser.close()
            process.terminate()
    target.write_bytes(base64.b64decode(picture))


def main() -> None:
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        with EmulatorProcess(home / "server" / "data") as emulator:
            box = Box(emulator.url)
            box.reset()
            place = Path("/tmp/Box")  # shown in the pictures
            place.mkdir(exist_ok=True)
            with Mounted(emulator.url, home, path=place, options=["call_budget=50000"]) as m:
                top(m, target / "top.svg")
                dashboard(m, target / "dashboard.png", home / "profile")
                eventually(lambda: m.status()["pending"]["items"] == 0, "all is sent")
            box.close()


if __name__ == "__main__":
    main()
