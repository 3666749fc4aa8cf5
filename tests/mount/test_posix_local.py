"""The POSIX cases hold on the machine's own disk: if one fails here, the case is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mount.posix_cases import CASES, names, run_case


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 200


@pytest.mark.parametrize("name", names())
def test_case_holds_locally(name: str, tmp_path: Path) -> None:
    run_case(name, tmp_path)
