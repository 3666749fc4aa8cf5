"""The clients that the tests use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from boxfs.api import BoxClient, StaticToken
from boxfs.api.drive import BoxDrive
from boxfs.api.retry import Backoff
from tests.support.box import OTHER_TOKEN, TOKEN, Box, EmulatorProcess

# So that tests of faults do not wait long where Box names no time.
QUICK = Backoff(attempts=3, first_s=0.01, cap_s=0.05)


@pytest.fixture
def client(box: Box) -> Iterator[BoxClient]:
    with BoxClient(StaticToken(TOKEN), api_url=box.url, backoff=QUICK) as made:
        yield made


@pytest.fixture
def drive(box: Box) -> Iterator[BoxDrive]:
    made = BoxDrive(StaticToken(TOKEN), api_url=box.url, backoff=QUICK)
    yield made
    made.close()


@pytest.fixture
def bob(box: Box) -> Iterator[BoxClient]:
    """Another user of the enterprise."""
    with BoxClient(StaticToken(OTHER_TOKEN), api_url=box.url, backoff=QUICK) as made:
        yield made


@pytest.fixture
def console(emulator: EmulatorProcess) -> dict[str, Any]:
    """What the developer console lets one download: client id, secret, key, enterprise."""
    return dict(json.loads((emulator.data / "box_config.json").read_text()))
