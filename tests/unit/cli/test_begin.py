"""What a start keeps for the next one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from boxfs.cli import begin
from boxfs.cli.begin import Start

START = Start("http://box.test", "box:/", "7", "ada@box.test", "Ada", "0", "digest")


def test_what_was_true_at_that_moment_only_is_not_kept(tmp_path: Path) -> None:
    """A start that found a stream position asked for the root's listing, as if it were the first."""
    begin.keep(tmp_path, replace(START, space=(10, 5), position=30401068076163999, unproven=True))
    assert begin._read(tmp_path) == START
    assert json.loads((tmp_path / "start.json").read_text())["position"] is None
