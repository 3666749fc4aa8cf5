"""Listings: pages, markers, order, holes, lag (box-api.md section 6)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.box import PATIENCE_S, Box


def page(box: Box, folder: str = "0", **query: Any) -> dict[str, Any]:
    return dict(box.call("GET", f"/2.0/folders/{folder}/items", params=query))


def test_trap_05_entries_are_minis(box: Box) -> None:
    box.upload("/f", b"x")
    box.mkdir("/d")
    folder, file = page(box)["entries"]
    assert set(folder) == {"type", "id", "sequence_id", "etag", "name"}
    assert set(file) == {"type", "id", "sequence_id", "etag", "name", "sha1", "file_version"}


def test_trap_06_pages_hold_100_and_never_more_than_1000(box: Box) -> None:
    box.bulk(folders=1, files=1005, under="/B")
    folder = box.folder_id("/B/d000000")
    assert len(box.get("folder", folder)["item_collection"]["entries"]) == 100
    assert box.get("folder", folder)["item_collection"]["total_count"] == 1005
    assert len(page(box, folder)["entries"]) == 100
    clamped = page(box, folder, limit=5000)
    assert (len(clamped["entries"]), clamped["limit"]) == (1000, 1000)
    assert len(page(box, folder, limit=1000, offset=1000)["entries"]) == 5


def test_trap_07_with_holes_a_client_must_advance_by_limit(box: Box) -> None:
    names = [f"f{number:02d}" for number in range(20)]
    box.bulk([(f"/{name}", 0) for name in names])
    box.settings(listing_holes=3)
    pages = [page(box, offset=offset, limit=5) for offset in range(0, 30, 5)]
    assert {p["total_count"] for p in pages} == {26}
    assert [len(p["entries"]) for p in pages] == [4, 4, 4, 3, 4, 1]
    assert [entry["name"] for p in pages for entry in p["entries"]] == names


@pytest.mark.parametrize("last", ["null", "empty", "absent"])
def test_trap_07_the_last_marker_comes_in_three_ways(box: Box, last: str) -> None:
    folder = box.mkdir("/d")
    box.bulk([(f"/d/f{number}", 0) for number in range(5)])
    box.settings(last_marker=last)
    names, marker = [], None
    for _ in range(3):
        query: dict[str, Any] = {"usemarker": "true", "limit": 2} | ({"marker": marker} if marker else {})
        here = page(box, folder, **query)
        assert "offset" not in here
        names += [entry["name"] for entry in here["entries"]]
        marker = here.get("next_marker")
    assert names == ["f0", "f1", "f2", "f3", "f4"]
    assert (marker, "next_marker" in here) == ({"null": None, "empty": "", "absent": None}[last], last != "absent")


def test_trap_08_folders_come_first_then_files_in_either_direction(box: Box) -> None:
    box.bulk([("/b.txt", 3), ("/a.txt", 5), ("/zoo", None), ("/Dir", None), ("/C.txt", 4)])

    def names(**query: Any) -> list[str]:
        return [entry["name"] for entry in page(box, **query)["entries"]]

    assert names() == ["Dir", "zoo", "a.txt", "b.txt", "C.txt"]
    assert names(sort="name", direction="DESC") == ["zoo", "Dir", "C.txt", "b.txt", "a.txt"]
    assert names(sort="size")[2:] == ["b.txt", "C.txt", "a.txt"]
    assert page(box, sort="size", direction="desc")["order"] == [
        {"by": "type", "direction": "ASC"},
        {"by": "size", "direction": "DESC"},
    ]


def test_markers_are_steady_while_entries_come_and_go(box: Box) -> None:
    folder = box.mkdir("/d")
    box.bulk([(f"/d/f{number}", 0) for number in range(6)])
    first = page(box, folder, usemarker="true", limit=3, sort="name", direction="DESC")
    box.delete("/d/f5")
    box.upload("/d/f9", b"")
    rest = page(box, folder, usemarker="true", limit=5, sort="name", direction="DESC", marker=first["next_marker"])
    assert [entry["name"] for entry in rest["entries"]] == ["f2", "f1", "f0"]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "x"},
        {"offset": "-1"},
        {"offset": 300_001},
        {"marker": "%%%", "usemarker": "true"},
        {"sort": "colour"},
    ],
)
def test_wrong_pages_are_refused(box: Box, query: dict[str, Any]) -> None:
    assert box.ask("GET", "/2.0/folders/0/items", params=query).status_code == 400


def test_a_lagging_listing_shows_what_was(box: Box) -> None:
    box.bulk([("/stays", 1), ("/renamed", 1), ("/goes", 1)])
    box.settings(listing_lag_s=3600.0)
    box.rename("/renamed", "other")
    box.delete("/goes")
    made = box.upload("/new", b"")
    assert [entry["name"] for entry in page(box)["entries"]] == ["goes", "renamed", "stays"]
    assert box.get("file", made["id"])["name"] == "new"
    box.settings(listing_lag_s=0.0)
    assert [entry["name"] for entry in page(box)["entries"]] == ["new", "other", "stays"]


def test_a_lag_passes(box: Box) -> None:
    box.settings(listing_lag_s=0.2)
    box.upload("/f", b"")
    deadline = time.monotonic() + PATIENCE_S
    while not page(box)["entries"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_12000_entries_are_listed_whole(box: Box) -> None:
    box.bulk(folders=1, files=12_000, size=1, under="/B")
    entries = box.entries("/B/d000000")
    assert len({entry["id"] for entry in entries}) == 12_000
    assert box.me()["space_used"] == 12_000
    assert box.get("folder", "0", "size")["size"] == 12_000
