"""No secret stays on a command line, where ps shows it to everybody."""

import pytest

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
    assert split_secrets(args) == (kept, {} if found is None else {"BOXFS_TOKEN": found})


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
