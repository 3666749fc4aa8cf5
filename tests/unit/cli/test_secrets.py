"""No secret stays on a command line, where ps shows it to everybody."""

import json
import logging
from pathlib import Path

import pytest

from boxfs.cli import logs
from boxfs.cli.logs import masked
from boxfs.cli.secrets import split_secrets


@pytest.mark.parametrize(
    ("args", "kept", "found"),
    [
        (["mount", "--token", "abc", "box:", "/m"], ["mount", "box:", "/m"], "abc"),
        (["mount", "--token=a=b", "box:", "/m"], ["mount", "box:", "/m"], "a=b"),
        (["mount", "-o", "ro,token=a\\,b,uid=0", "box:"], ["mount", "-o", "ro,uid=0", "box:"], "a,b"),
        (["mount", "-otoken=abc", "box:"], ["mount", "-o", "box:"], "abc"),
        (["mount", "-o", "token_file=/x", "box:"], ["mount", "-o", "token_file=/x", "box:"], None),
        (["login", "--token", "abc", "work"], ["login", "work", "--token"], "abc"),
        (["login", "work", "--token"], ["login", "work", "--token"], None),
        (["why", "--", "--token", "x"], ["why", "--", "--token", "x"], None),
    ],
)
def test_secrets_move_from_arguments_to_the_environment(args: list[str], kept: list[str], found: str | None) -> None:
    assert split_secrets(args, {}) == (kept, {} if found is None else {"BOXFS_TOKEN": found})


def test_login_with_a_token_in_the_environment_takes_the_next_word_as_the_account() -> None:
    args = ["login", "--token", "work"]
    assert split_secrets(args, {"BOXFS_TOKEN": "t"}) == (["login", "work", "--token"], {})


@pytest.mark.parametrize(
    "line",
    [
        "GET /2.0/x Authorization: Bearer hush!hush",
        "{'access_token': 'hush!hush', 'expires_in': 3}",
        "refresh_token=hush!hush&client_id=1",
        '"client_secret":"hush!hush"',
    ],
)
def test_what_looks_like_a_token_is_masked_in_the_log(line: str) -> None:
    assert "hush" not in masked(line)
    assert "(masked)" in masked(line)


def test_a_log_for_programs_has_an_object_a_line_and_no_secret(tmp_path: Path) -> None:
    before = logging.getLogger().level
    logs.start_logging(tmp_path, "info", to_stderr=False, as_json=True)
    try:
        logging.getLogger("boxfs.x").info("two\nlines, token=hush!hush!")
        try:
            raise ValueError("access_token=hush!hush!")
        except ValueError:
            logging.getLogger("boxfs.x").exception("it broke")
    finally:
        logs.stop_logging()
        logging.captureWarnings(False)
        logging.getLogger().setLevel(before)
        logging.getLogger("boxfs").setLevel(logging.NOTSET)
    first, second = (json.loads(line) for line in logs.log_path(tmp_path).read_text().splitlines())
    assert first["message"] == "two\nlines, token=(masked)"
    assert first["level"] == "info"
    assert first["time"].endswith("Z")
    assert "ValueError" in second["traceback"]
    assert "hush" not in json.dumps(second)
