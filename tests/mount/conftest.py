"""Mounts of files in memory, as the tests of the mount alone want them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.fusemount import MemoryMount


@pytest.fixture(scope="module", params=[{}, {"epoch": False}], ids=["epoch", "list-of-names"])
def memory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryMount]:
    """A mount for a file of tests, once for each way of telling the kernel; with the OPTIONS that the file has."""
    options: dict[str, Any] = {**getattr(request.module, "OPTIONS", {}), **request.param}
    with MemoryMount(tmp_path_factory.mktemp("memory"), **options) as mounted:
        yield mounted
    assert mounted.log == ""
