"""What a start keeps for the next one, and by what that one sees whether it comes with the same login."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from boxfs.cli import accounts, begin
from boxfs.cli.accounts import Account
from boxfs.cli.begin import Start

START = Start("http://box.test", "box:/", "7", "ada@box.test", "Ada", "0", "digest")


def test_what_was_true_at_that_moment_only_is_not_kept(tmp_path: Path) -> None:
    """A start that found a stream position asked for the root's listing, as if it were the first."""
    begin.keep(tmp_path, replace(START, space=(10, 5), position=30401068076163999, unproven=True))
    assert begin._read(tmp_path) == START
    assert json.loads((tmp_path / "start.json").read_text())["position"] is None


def _digest(token: str = "", token_file: Path | None = None, as_user: str = "") -> str:
    options = SimpleNamespace(token=token, token_file=token_file, as_user=as_user)
    return begin._digest(cast(Any, SimpleNamespace(remote=SimpleNamespace(account="work"), options=options)))


def test_another_token_another_user_another_content_of_the_token_file_is_another_login(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text("one\n")
    first = _digest(token_file=file)
    assert first == _digest(token_file=file)
    file.write_text("two\n")
    found = [first, _digest(token_file=file), _digest("one"), _digest("two"), _digest("one", as_user="5")]
    assert len(set(found)) == len(found)


def test_a_stored_login_that_is_made_anew_by_somebody_else_is_another_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "folder", lambda: tmp_path)
    ada = Account("work", "oauth", "http://box.test", login="ada@box.test")
    accounts.save(ada, keyring=False)
    first = _digest()
    accounts.save(replace(ada, client_id="anew"), keyring=False)
    assert _digest() == first
    accounts.save(replace(ada, login="bob@box.test"), keyring=False)
    assert _digest() != first
