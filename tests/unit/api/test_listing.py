"""The traps of Box's paging (box-api.md sections 6, 22 and 24)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from boxfs.api.drive import BoxDrive
from boxfs.api.http import Request, Response
from boxfs.base.errors import BadReply
from boxfs.base.types import ItemId
from tests.unit.api.scripted import reply, session


def entry(number: int) -> dict[str, Any]:
    return {"type": "file", "id": str(number), "etag": "0", "name": f"f{number}"}


class Folder:
    """Answers listings by offset or marker; `before_page` may change `ids` between pages, as other people do."""

    def __init__(self, count: int, *, holes: int = 0, clamp: int = 1000) -> None:
        self.ids = list(range(count))
        self.holes = holes
        self.clamp = clamp
        self.asked: list[tuple[str, str]] = []
        self.before_page: Any = lambda: None

    def __call__(self, request: Request) -> Response:
        self.before_page()
        params = request.params
        limit = min(int(params["limit"]), self.clamp)
        if params.get("usemarker"):
            start = int(params.get("marker", "0"))
            self.asked.append(("marker", str(start)))
            after = str(start + limit) if start + limit < len(self.ids) else ""
            return reply(200, {"entries": [entry(n) for n in self.ids[start : start + limit]], "next_marker": after})
        start = int(params["offset"])
        self.asked.append(("offset", str(start)))
        shown = self.ids[start : start + limit][: limit - self.holes]
        total = len(self.ids)
        return reply(200, {"total_count": total, "limit": limit, "offset": start, "entries": [entry(n) for n in shown]})


def listed(folder: Folder, pages: int = 60) -> list[str]:
    box, _ = session(*[folder] * pages)
    return [item.id for item in BoxDrive(session=box).list_folder(ItemId("42"))]


def test_a_small_folder_is_one_call() -> None:
    folder = Folder(3)
    assert listed(folder) == ["0", "1", "2"]
    assert folder.asked == [("offset", "0")]


def test_an_empty_folder_is_one_call() -> None:
    folder = Folder(0)
    assert listed(folder) == []
    assert len(folder.asked) == 1


def test_pages_with_holes_are_walked_by_limit_and_not_by_what_came() -> None:
    folder = Folder(2500, holes=10)
    found = listed(folder)
    assert sorted(folder.asked) == [("offset", "0"), ("offset", "1000"), ("offset", "2000")]
    assert len(found) == 2480


def test_a_server_that_clamps_the_limit_lower_is_followed() -> None:
    folder = Folder(1050, clamp=100)
    assert len(listed(folder)) == 1050
    assert len(folder.asked) == 11


def test_a_folder_that_shrinks_between_pages_is_listed_again() -> None:
    folder = Folder(2001)

    def shrink() -> None:
        if len(folder.asked) == 1 and len(folder.ids) == 2001:
            del folder.ids[0]

    folder.before_page = shrink
    assert listed(folder) == [str(n) for n in range(1, 2001)]


def test_a_folder_that_never_stands_still_is_listed_by_markers() -> None:
    folder = Folder(1500)

    def grow() -> None:
        folder.ids.append(len(folder.ids))

    folder.before_page = grow
    found = listed(folder)
    assert len(found) == len(set(found)) >= 1500
    assert ("marker", "0") in folder.asked


def test_an_offset_that_box_refuses_leads_to_markers() -> None:
    folder = Folder(3000)

    def refuse(request: Request) -> Response:
        if int(request.params.get("offset", "0")) > 1000:
            return reply(400, {"type": "error", "code": "bad_request"})
        return folder(request)

    box, _ = session(*[refuse] * 60)
    assert len(BoxDrive(session=box).list_folder(ItemId("42"))) == 3000


def test_a_short_page_that_does_not_say_its_limit_is_not_taken_for_the_whole() -> None:
    folder = Folder(250, clamp=100)

    def silent(request: Request) -> Response:
        said = json.loads(folder(request).read())
        said.pop("limit", None)
        return reply(200, said)

    box, _ = session(*[silent] * 10)
    assert len(BoxDrive(session=box).list_folder(ItemId("42"))) == 250


def test_a_list_that_knows_no_markers_is_not_cut_off() -> None:
    """What a part of a folder does not name would be taken for gone."""
    whole = reply(200, {"total_count": 250, "entries": [entry(n) for n in range(100)]})
    box, _ = session(whole, whole)
    with pytest.raises(BadReply):
        BoxDrive(session=box).list_folder(ItemId("42"))


@pytest.mark.parametrize("parent", [None, {"type": "folder", "id": "9"}, "absent"])
def test_an_entry_is_in_the_folder_that_lists_it(parent: object) -> None:
    """Of what is shared with us Box may name no parent, or one that we cannot see."""
    told = {**entry(1), **({} if parent == "absent" else {"parent": parent})}
    box, _ = session(reply(200, {"total_count": 1, "limit": 1000, "offset": 0, "entries": [told]}))
    (item,) = BoxDrive(session=box).list_folder(ItemId("0"))
    assert item.parent_id == "0"
