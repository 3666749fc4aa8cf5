"""The dashboard in a real browser, of a real mount."""

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.browser import NAMES, Browser
from tests.support.mounting import Mounted

pytestmark = [
    pytest.mark.fuse,
    pytest.mark.skipif(
        not any(os.access(os.path.join(folder, name), os.X_OK) for folder in os.get_exec_path() for name in NAMES),
        reason="no Chromium",
    ),
]


def test_the_page_shows_the_mount_and_its_plots(mounted: Mounted, tmp_path: Path) -> None:
    (mounted.path / "a.txt").write_text("something to count")
    mounted.sync()
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "boxfs", "dashboard", "--no-browser"],
        env=mounted.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as dashboard:
        try:
            assert dashboard.stdout is not None
            assert select.select([dashboard.stdout], [], [], 60)[0]
            url = dashboard.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{20,}", url)
            browser = Browser(tmp_path / "profile")
            try:
                browser.open(url)
                browser.wait(f"document.querySelector('[data-mount=\"{mounted.path}\"]') !== null")
                browser.wait("document.querySelectorAll('svg path').length >= 4")  # the second look came
                text = browser.run("document.body.innerText")
                assert "ada@example.com" in text
                assert "POST /files/content" in text
                assert browser.errors == []
            finally:
                browser.close()
        finally:
            dashboard.send_signal(signal.SIGTERM)
