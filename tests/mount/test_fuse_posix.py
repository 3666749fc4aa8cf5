"""The POSIX cases through a real mount of an in-memory core: what fails here is the FUSE layer's fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.posix_cases import names, run_case
from tests.support.fusemount import MemoryMount, needs_fuse

pytestmark = needs_fuse


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with MemoryMount(tmp_path_factory.mktemp("posix"), default_permissions=True) as mounted:
        yield mounted.path
    assert mounted.log == ""


@pytest.mark.parametrize("name", names())
def test_case_holds_through_the_mount(name: str, mount: Path) -> None:
    run_case(name, mount)
