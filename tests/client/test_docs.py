"""docs/CLIENT.md: every example runs, and every proof in its table is a test that exists."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from boxfs.api import BoxClient, ClientCredentials, Jwt, OAuth2, Session
from tests.client.test_more import picture
from tests.client.test_ways_in import consent
from tests.support.box import TOKEN, Box, EmulatorProcess

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "CLIENT.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
PROOFS = sorted(set(re.findall(r"(tests/\S+\.py)::(\w+)", DOCUMENT)))


def at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is meant for Box be asked of the emulator."""
    for cls in (Session, OAuth2, Jwt, ClientCredentials):
        real: Callable[..., None] = cls.__init__

        def init(self: Any, *args: Any, real: Callable[..., None] = real, **options: Any) -> None:
            real(self, *args, **{"api_url": url, **options})

        monkeypatch.setattr(cls, "__init__", functools.wraps(real)(init))


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_example_runs(
    number: int,
    box: Box,
    client: BoxClient,
    console: dict[str, Any],
    emulator: EmulatorProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    at(box.url, monkeypatch)
    box.settings(part_size=1 << 20, min_session_size=1 << 20)
    Path("large.bin").write_bytes(bytes(3 << 20))
    Path("config.json").write_text((emulator.data / "box_config.json").read_text())
    app = console["boxAppSettings"]

    def ask_my_server_for_a_token() -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": app["clientID"],
            "client_secret": app["clientSecret"],
            "box_subject_type": "enterprise",
            "box_subject_id": console["enterpriseID"],
        }
        return str(requests.post(f"{box.url}/oauth2/token", data=form, timeout=30).json()["access_token"])

    names = {
        "client": client,
        "TOKEN": TOKEN,
        "CLIENT_ID": app["clientID"],
        "CLIENT_SECRET": app["clientSecret"],
        "ENTERPRISE_ID": console["enterpriseID"],
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "PICTURE": picture(),
        "visit": lambda url: consent(url, box.me()["id"]),
        "ask_my_server_for_a_token": ask_my_server_for_a_token,
    }
    exec(compile(EXAMPLES[number], f"docs/CLIENT.md example {number}", "exec"), names)


@pytest.mark.parametrize(("path", "name"), PROOFS)
def test_the_proof_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_table_has_a_proof_in_each_row() -> None:
    table = DOCUMENT.split("## What box.py and the Box SDK 3 do")[1]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 60
    for row in rows:
        assert re.search(r"tests/\S+\.py::\w+", row), row
