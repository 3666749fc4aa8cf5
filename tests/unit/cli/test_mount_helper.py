"""mount.boxfs(8) takes what mount(8) gives it."""

import pytest

from boxfs.cli.exits import CliError
from boxfs.cli.mount_helper import arguments


def test_what_mount_writes_becomes_a_command_line_of_ours() -> None:
    given = ["box:/Team", "/mnt/team", "-n", "-sv", "-o", "rw,_netdev,uid=3", "-t", "boxfs"]
    assert arguments(given) == ["mount", "-o", "rw,_netdev,uid=3", "--", "box:/Team", "/mnt/team"]
    assert arguments(["-r", "box:", "/m"]) == ["mount", "-o", "ro", "--", "box:", "/m"]


def test_a_rehearsal_mounts_nothing() -> None:
    assert arguments(["box:", "/m", "-f"]) is None


@pytest.mark.parametrize("given", [["box:"], [], ["box:", "/m", "-o"], ["box:", "/m", "--zzz"], ["box:", "/m", "-x"]])
def test_wrong_usage(given: list[str]) -> None:
    with pytest.raises(CliError):
        arguments(given)
