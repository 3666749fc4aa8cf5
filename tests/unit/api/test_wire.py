from __future__ import annotations

from typing import Any

import pytest

from boxfs.api import wire
from boxfs.base.errors import BadReply
from boxfs.base.types import EventKind, Kind

FILE = {
    "type": "file",
    "id": "77",
    "file_version": {"type": "file_version", "id": "91", "sha1": "2EF7"},
    "sequence_id": "2",
    "etag": "2",
    "name": "notes.txt",
    "size": 12,
    "content_modified_at": "2026-03-02T08:59:58-08:00",
    "parent": {"type": "folder", "id": "42"},
    "owned_by": {"type": "user", "id": "7", "login": "ada@example.com"},
    "shared_link": {"url": "https://app.box.com/s/x"},
    "permissions": {"can_upload": True, "can_delete": False},
    "metadata": {"global": {"properties": {"$version": 0, "$scope": "global", "boxfs.mode": "0644"}}},
}


def test_a_file_is_read_whole() -> None:
    item = wire.item(FILE)
    assert (item.kind, item.id, item.etag, item.sequence_id, item.version_id) == (Kind.FILE, "77", "2", 2, "91")
    assert (item.sha1, item.size, item.parent_id, item.owner) == ("2ef7", 12, "42", "ada@example.com")
    assert item.content_modified_ns == 1772470798 * 10**9
    assert (item.can_upload, item.can_delete, item.can_rename) == (True, False, None)
    assert item.properties == {"boxfs.mode": "0644"}
    assert item.shared_link == "https://app.box.com/s/x"


@pytest.mark.parametrize("metadata", [None, {}, {"global": {}}, {"global": {"properties": None}}, "odd"])
def test_no_instance_means_none_only_where_it_was_asked(metadata: Any) -> None:
    reply = {"type": "folder", "id": "42", "metadata": metadata}
    assert wire.item(reply, metadata_asked=True).properties == {}
    assert wire.item(reply).properties is None


def test_the_root_with_its_nulls() -> None:
    item = wire.item(
        {"type": "folder", "id": "0", "sequence_id": None, "etag": None, "name": "All Files", "parent": None}
    )
    assert (item.etag, item.parent_id, item.modified_ns) == (None, None, None)


def test_ids_that_come_as_numbers_become_strings() -> None:
    item = wire.item({"type": "file", "id": 77, "etag": 3, "size": "12", "file_version": {"id": 91}})
    assert (item.id, item.etag, item.size, item.version_id) == ("77", "3", 12, "91")


@pytest.mark.parametrize("reply", [{}, {"type": "file"}, {"type": "user", "id": "7"}, {"type": "file", "id": ""}])
def test_what_has_no_key_is_refused(reply: dict[str, Any]) -> None:
    with pytest.raises(BadReply):
        wire.item(reply)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(12, 12), ("12", 12), (1.0034576983313e14, 100345769833130), ("1e3", 1000), (None, None), (True, None),
     ("x", None), (float("inf"), None), (float("nan"), None), ("30401068076164269", 30401068076164269)],
)  # fmt: skip
def test_numbers_in_every_dress(given: Any, expected: int | None) -> None:
    assert wire.integer(given) == expected


@pytest.mark.parametrize(
    ("given", "expected_s"),
    [("2026-03-01T08:15:30-08:00", 1772381730), ("2026-03-01T16:15:30Z", 1772381730), ("1970-01-01T00:00:00Z", 0),
     ("2026-03-01T16:15:30", 1772381730), ("", None), (None, None), ("soon", None), (5, None)],
)  # fmt: skip
def test_times_with_any_offset(given: Any, expected_s: int | None) -> None:
    assert wire.time_ns(given) == (None if expected_s is None else expected_s * 10**9)


def test_times_are_sent_in_whole_seconds_and_never_before_1970() -> None:
    assert wire.box_time(1772381730_999_999_999) == "2026-03-01T16:15:30Z"
    assert wire.box_time(-5) == "1970-01-01T00:00:00Z"
    assert wire.box_time(10**21) == "9999-12-31T23:59:59Z"


def test_events_survive_null_sources_unknown_types_and_missing_ids() -> None:
    page = wire.event_page(
        {
            "next_stream_position": 30401068076164269,
            "entries": [
                {"event_id": "a", "event_type": "ITEM_UPLOAD", "source": FILE},
                {"event_id": "b", "event_type": "LOCK_DESTROY", "source": None},
                {"event_type": "SOMETHING_NEW", "source": {"type": "user", "id": "7"}},
                None,
            ],
        },
        5,
    )
    assert page.next_position == 30401068076164269
    assert [event.kind for event in page.events] == [EventKind.CHANGED, EventKind.LOCK, EventKind.OTHER]
    assert page.events[0].item is not None
    assert page.events[1].item is None
    assert page.events[2].id


def test_an_event_page_without_a_position_stays_where_it_is() -> None:
    assert wire.event_page({"entries": []}, 5).next_position == 5


def test_urls_of_a_session_default_to_where_its_parts_go() -> None:
    session = wire.upload_session({"id": "S", "part_size": 8.0, "session_endpoints": {"upload_part": "http://u/S"}})
    assert (session.part_size, session.commit_url, session.list_parts_url) == (
        8,
        "http://u/S/commit",
        "http://u/S/parts",
    )


def test_null_is_an_answer_and_absence_is_none() -> None:
    """An unlocked file says `"lock": null`; the source of an event says nothing of locks."""
    told = wire.item({"type": "file", "id": "1", "lock": None, "shared_link": None})
    assert (told.lock, told.shared_link) == ({}, "")
    silent = wire.item({"type": "file", "id": "1"})
    assert (silent.lock, silent.shared_link) == (None, None)


def test_numbers_that_cannot_be_stored_do_not_break_a_listing() -> None:
    told = wire.item(
        {
            "type": "file",
            "id": "1",
            "size": 1e300,
            "sequence_id": "9" * 30,
            "content_modified_at": "9999-12-31T23:59:59Z",
            "modified_at": "0001-01-01T00:00:00Z",
        }
    )
    assert (told.size, told.sequence_id) == (None, None)
    for ns in (told.content_modified_ns, told.modified_ns):
        assert ns is not None
        assert 2 * 10**18 < abs(ns) < 1 << 63
