"""Two mounts on one OAuth account: they share its one pair of tokens, however often it ends."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from boxfs.api import FileStore
from tests.client.test_ways_in import log_in
from tests.support.box import Box
from tests.support.mounting import Mounted, eventually

pytestmark = [pytest.mark.fuse, pytest.mark.slow, pytest.mark.timeout(600)]

EXPIRIES = 200
STEP_S = 3700.0  # longer than an access token lives


def stored_account(box: Box, console: dict[str, Any], folder: Path) -> None:
    """What `boxfs login work` leaves."""
    app = console["boxAppSettings"]
    (folder / "accounts").mkdir(mode=0o700)
    log_in(box, console, FileStore(folder / "accounts" / "work.tokens"))
    account = {
        "way": "oauth",
        "api_url": box.url,
        "client_id": app["clientID"],
        "secrets": {"client_secret": app["clientSecret"]},
    }
    path = folder / "accounts" / "work.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(account))


def renewed(box: Box, times: int) -> bool:
    return box.calls().get("POST /oauth2/token", 0) >= times


def says(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


def test_two_mounts_live_through_200_expiries(box: Box, console: dict[str, Any], tmp_path: Path) -> None:
    stored_account(box, console, tmp_path)
    env = {"BOXFS_CONFIG": str(tmp_path / "config.toml"), "BOXFS_TOKEN": ""}
    # Two machines' worth of state, one folder of logins.
    with (
        Mounted(box.url, tmp_path / "one", remote="work:", options=["settle=0"], env=env) as one,
        Mounted(box.url, tmp_path / "two", remote="work:", options=["settle=0"], env=env) as two,
    ):
        box.clear_log()
        for number in range(1, EXPIRIES + 1):
            box.settings(clock_offset_s=STEP_S * number)
            writer, reader = (one, two) if number // 10 % 2 else (two, one)
            (writer.path / "news").write_text(str(number))
            eventually(partial(renewed, box, number), f"the renewal after expiry {number}")
            if number % 10 == 9:  # the next ten are written by the other one
                eventually(partial(says, reader.path / "news", str(number)), f"what was written after expiry {number}")
        for mount in (one, two):
            text = mount.log
            assert "log in" not in text
            assert "invalid_grant" not in text
    app = console["boxAppSettings"]
    tokens = FileStore(tmp_path / "accounts" / "work.tokens").load()
    assert tokens is not None
    for mount in (one, two):
        for secret in (app["clientSecret"], tokens.access, str(tokens.refresh)):
            assert secret not in mount.log
