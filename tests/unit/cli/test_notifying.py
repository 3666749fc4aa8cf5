"""Who asks for it hears on the desktop of conflicts, stuck uploads and ended logins: each once."""

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from boxfs.cli.notifying import Notifying


def test_each_is_told_once_and_again_when_it_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nfor last; do :; done\necho "$last" >> {said}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    status: dict[str, Any] = {"remote": "box:/"}
    notifying = Notifying(lambda: status)

    def told() -> list[str]:
        said.unlink(missing_ok=True)
        notifying.look()
        return said.read_text().splitlines() if said.exists() else []

    assert told() == []
    status["problems"] = [{"path": "a", "error": "the Box account is full", "attempts": 1}]
    assert told() == []
    status["problems"][0]["attempts"] = 3
    assert told() == ["a cannot be sent: the Box account is full"]
    assert told() == []
    status["problems"] = []
    status["errors"] = ["the login has ended: log in again (boxfs login)"]
    assert told() == ["box:/: the login has ended: log in again (boxfs login)"]
    status["problems"] = [{"path": f"{n}", "error": "no", "attempts": 9} for n in range(9)]
    assert told()[3:] == ["and 6 more: boxfs status"]
    status.clear()
    assert told() == []
    status["problems"] = [{"path": "a", "error": "no", "attempts": 9}]
    assert len(told()) == 1

    notifying.start()
    try:
        logging.getLogger("boxfs.core.conflicts").warning("%s was changed at Box and here", "x.txt")
        assert told() == ["x.txt was changed at Box and here"]
    finally:
        notifying.close()
