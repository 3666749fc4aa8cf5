"""Random operations on a file of the mount and on one of the local disk, compared, while Box is sent what changes.

BOXFS_STEPS=100000 for the long run; BOXFS_SEED for another one.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.fsx import Fsx
from tests.support.mounting import Mounted

pytestmark = pytest.mark.fuse

STEPS = int(os.environ.get("BOXFS_STEPS", "3000"))
SEED = int(os.environ.get("BOXFS_SEED", "1"))


@pytest.mark.timeout(max(180, STEPS // 10))
@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_random_operations_do_what_a_local_disk_does(seed: int, box: Box, tmp_path: Path) -> None:
    """Half of the steps by each seed; a short settle window, so that uploads meet writes."""
    model = tmp_path / "model"
    with Mounted(box.url, tmp_path / "home", options=["settle=0.1"]) as drive:
        Fsx(drive.path / "file", model, seed).run(STEPS // 2)
        drive.sync()
        assert drive.unmount().returncode == 0
        shutil.rmtree(drive.cache_dir)
        drive.start()
        assert (drive.path / "file").read_bytes() == model.read_bytes()
