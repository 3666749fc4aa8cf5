"""How soon a change that someone else makes at Box shows in the mount, through the kernel's caches: kind by kind."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.budget import Budget, Calls
from bench.measure import Requests, eventually
from bench.workload import Limits, Place, Start, Workload
from tests.support.box import Box

EVERY_S = 1.1
"""From one change to the next: a little more than boxfs leaves between two looks at the stream."""
START_S = 2.5
"""A mount asks some things when it is a second old, and listens from then on."""
MOST_S = 100.0  # rclone asks once a minute
STEP_S = 0.01

SYSTEMS = ("boxfs", "rclone")
_ME, _OTHER = "ada@example.com", "bob@example.com"


@dataclass(frozen=True)
class Kind:
    """before: what is at Box when the mount looks first.  change: what someone else does.  shows: in the folder."""

    change: Callable[[Box, str], object]
    shows: Callable[[Path], bool]
    before: Callable[[Box, str], object] | None = None


def _act(box: Box, do: str, path: str, **words: Any) -> None:
    box.call("POST", "/_emulator/act", json={"do": do, "path": path, **words})


def _put(name: str, text: str = "old") -> Callable[[Box, str], object]:
    return lambda box, at: _act(box, "upload", f"{at}/{name}", content=text)


def _trashed(box: Box, at: str) -> None:
    _put("trashed")(box, at)
    _act(box, "delete", f"{at}/trashed")


def _two_versions(box: Box, at: str) -> None:
    _put("promoted")(box, at)
    _act(box, "edit", f"{at}/promoted", content="the second version")


def _promote(box: Box, at: str) -> None:
    versions = f"/2.0/files/{box.find(f'{at}/promoted')['id']}/versions"
    first = box.call("GET", versions)["entries"][0]["id"]
    box.call("POST", f"{versions}/current", json={"type": "file_version", "id": first})


def _shared_name(at: Path | str) -> str:
    return f"shared with {Path(at).name}"


def _share(box: Box, at: str) -> None:
    _act(box, "mkdir", f"/{_shared_name(at)}", user=_OTHER)
    _act(box, "invite", f"/{_shared_name(at)}", user=_OTHER, login=_ME)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it may be going just now
        return b""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


KINDS: dict[str, Kind] = {
    "a new file": Kind(_put("new", "new"), lambda m: _size(m / "new") == 3 and "new" in os.listdir(m)),
    "an edit": Kind(
        lambda b, at: _act(b, "edit", f"{at}/edited", content="longer"),
        lambda m: _size(m / "edited") == 6,
        _put("edited"),
    ),
    "an edit to the same size": Kind(
        lambda b, at: _act(b, "edit", f"{at}/same", content="new"), lambda m: _read(m / "same") == b"new", _put("same")
    ),
    "an old version made the current one": Kind(_promote, lambda m: _size(m / "promoted") == 3, _two_versions),
    "a new folder": Kind(lambda b, at: _act(b, "mkdir", f"{at}/made"), lambda m: (m / "made").is_dir()),
    "a rename": Kind(
        lambda b, at: _act(b, "rename", f"{at}/before", name="after"),
        lambda m: (m / "after").exists() and not (m / "before").exists(),
        _put("before"),
    ),
    "a move": Kind(
        lambda b, at: _act(b, "move", f"{at}/moved", to=f"{at}/into/moved"),
        lambda m: (m / "into/moved").exists() and not (m / "moved").exists(),
        _put("moved"),
    ),
    "a move of a folder": Kind(
        lambda b, at: _act(b, "move", f"{at}/tree", to=f"{at}/into/tree"),
        lambda m: (m / "into/tree/file").exists() and not (m / "tree").exists(),
        _put("tree/file"),
    ),
    "a deletion": Kind(
        lambda b, at: _act(b, "delete", f"{at}/gone"), lambda m: not (m / "gone").exists(), _put("gone")
    ),
    "a deletion of a folder": Kind(
        lambda b, at: _act(b, "delete", f"{at}/folder"), lambda m: not (m / "folder").exists(), _put("folder/file")
    ),
    "a restore from the trash": Kind(
        lambda b, _at: _act(b, "restore", "", name="trashed"), lambda m: (m / "trashed").exists(), _trashed
    ),
    "a folder shared with us": Kind(_share, lambda m: (m.parents[1] / _shared_name(m)).is_dir()),
}


def _at(system: str) -> str:
    """A folder for each, so that each finds all as it was."""
    return f"/data/{system}"


def _make(box: Box, _fast: bool) -> None:
    for at in map(_at, SYSTEMS):
        for folder in ("", "/into", "/tree", "/folder"):
            _act(box, "mkdir", f"{at}{folder}")
        for kind in KINDS.values():
            if kind.before is not None:
                kind.before(box, at)


def _edit_file(box: Box, _fast: bool) -> None:
    for at in map(_at, SYSTEMS):
        _act(box, "mkdir", at)
        _put("file")(box, at)


def _known(place: Place) -> None:
    place.sh("ls -lR . .. && find . -type f -exec cat {} +")
    time.sleep(START_S)


def _edit_is_seen(place: Place) -> float:
    begun = time.perf_counter()
    _act(place.box, "edit", f"{_at(place.system.name)}/file", content="new, and longer")
    path = place.path / place.system.name / "file"
    eventually(lambda: _read(path) == b"new, and longer", "the edit is seen", STEP_S)
    return time.perf_counter() - begun


def _changes_are_seen(place: Place) -> dict[str, float]:
    """One change every EVERY_S; how long each took to show.  What did not show in MOST_S is left out."""
    here, at = place.path / place.system.name, _at(place.system.name)
    due, pending, found = list(KINDS), dict[str, float](), dict[str, float]()
    every_s = EVERY_S / 5 if place.quick else EVERY_S
    begun = time.perf_counter()
    while (due or pending) and time.perf_counter() - begun < MOST_S:
        if due and time.perf_counter() - begun >= every_s * (len(KINDS) - len(due)):
            kind = due.pop(0)
            KINDS[kind].change(place.box, at)
            pending[kind] = time.perf_counter()
        for kind, since in list(pending.items()):
            if _shows(kind, here):
                found[kind] = time.perf_counter() - since
                del pending[kind]
        time.sleep(STEP_S)
    return found


def _shows(kind: str, here: Path) -> bool:
    try:
        return KINDS[kind].shows(here)
    except OSError as error:
        # The kernel's word, of either system, for a folder that it is just taking from its old place (__d_unalias).
        if error.errno == errno.ESTALE:
            return False
        raise


def _all_seen(place: Place, _spent: Requests) -> None:
    here = place.path / place.system.name
    unseen = [name for name in KINDS if not _shows(name, here)]
    assert place.system.name != "boxfs" or not unseen, f"not seen: {unseen}"


_HELD = "tests/mount/test_read_budgets.py::test_a_change_made_elsewhere_costs_two_calls_however_large_the_folder"
_POLL = Limits("the answer to the long poll, one GET of events, a download", disk=False, load=False)


def _edit(name: str, title: str, latency_s: float) -> Workload:
    return Workload(
        name, "metadata", title, _edit_is_seen, Start.WARM, prepare=_edit_file, warm=_known, rounds=1, held_by=_HELD,
        latency_s=latency_s, listening=True, trailing_s=1.5, budget=Budget(Calls(3, 1), Calls(3, 1)), limits=_POLL,
    )  # fmt: skip


WORKLOADS = (
    _edit("edit-seen", "an edit by someone else is seen, 0 ms", 0.0),
    _edit("edit-seen-50ms", "an edit by someone else is seen, 50 ms", 0.05),
    Workload("changes-seen", "seen", f"{len(KINDS)} kinds of change by someone else, one every {EVERY_S:g} s, 50 ms",
             _changes_are_seen, Start.WARM, prepare=_make, warm=_known, rounds=1, latency_s=0.05, listening=True,
             trailing_s=1.5, check=_all_seen,
             budget=Budget(Calls(2 * len(KINDS) + 3, 2), Calls(2 * len(KINDS) + 3, 2)), limits=_POLL),
)  # fmt: skip
