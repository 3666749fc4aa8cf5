"""Event streams and long polls (box-api.md section 19)."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from tests.support.box import PATIENCE_S, Box


def events(box: Box, position: int | str = 0, **query: Any) -> list[dict[str, Any]]:
    """All events after a position, read to the end."""
    found: list[dict[str, Any]] = []
    while True:
        page = box.call("GET", "/2.0/events", params={"stream_position": position} | query)
        assert page["chunk_size"] == len(page["entries"])
        if not page["entries"]:
            return found
        found += page["entries"]
        assert page["next_stream_position"] > int(position)
        position = page["next_stream_position"]


def now(box: Box) -> int:
    page = box.call("GET", "/2.0/events", params={"stream_position": "now"})
    assert page["entries"] == []
    return int(page["next_stream_position"])


def types(box: Box, position: int) -> list[str]:
    return [event["event_type"] for event in events(box, position)]


def poll_url(box: Box, position: int, stream: str = "all") -> str:
    (server,) = box.call("OPTIONS", "/2.0/events", params={"stream_type": stream})["entries"]
    assert (server["type"], server["ttl"], server["max_retries"]) == ("realtime_server", "10", "10")
    return f"{server['url']}&stream_position={position}"


class Poll(threading.Thread):
    """A long poll in the background."""

    def __init__(self, box: Box, position: int, stream: str = "all") -> None:
        super().__init__(daemon=True)
        self.client, self.url = box.as_user(box.token), poll_url(box, position, stream)
        self.reply: Any = None
        self.start()

    def run(self) -> None:
        self.reply = self.client.ask("GET", self.url)

    def answer(self) -> Any:
        self.join(PATIENCE_S)
        assert self.reply is not None
        self.client.close()
        return self.reply.json()


def test_each_change_has_its_event(box: Box) -> None:
    start = now(box)
    box.mkdir("/d")
    box.upload("/f", b"x")
    box.new_version("/f", b"y")
    box.rename("/f", "g")
    box.move("/g", "/d")
    box.move("/d/g", "0", "h")
    file = box.find("/h")["id"]
    box.call("POST", f"/2.0/files/{file}/copy", json={"parent": {"id": "0"}, "name": "copy"})
    box.update("/h", lock={"type": "lock"})
    box.update("/h", lock=None)
    box.delete("/h")
    box.call("POST", f"/2.0/files/{file}")
    box.delete("/d")
    assert types(box, start) == [
        "ITEM_CREATE", "ITEM_UPLOAD", "ITEM_UPLOAD", "ITEM_RENAME", "ITEM_MOVE", "ITEM_MOVE", "ITEM_RENAME",
        "ITEM_COPY", "LOCK_CREATE", "LOCK_DESTROY", "ITEM_TRASH", "ITEM_UNDELETE_VIA_TRASH", "ITEM_TRASH",
    ]  # fmt: skip


def test_trap_26_positions_exceed_2_to_the_53(box: Box) -> None:
    assert now(box) > 1 << 53
    box.upload("/f", b"")
    assert events(box, 0) == events(box, now(box) - 1)  # a float could not tell these apart
    assert events(box, now(box)) == []


def test_trap_26_events_come_twice_out_of_order_and_in_short_pages(box: Box) -> None:
    start = now(box)
    for number in range(30):
        box.upload(f"/{number:02d}", b"")
    in_order = [event["event_id"] for event in events(box, start)]
    box.settings(event_duplicates=0.5, event_reorder=4, event_short_pages=True)
    got = [event["event_id"] for event in events(box, start)]
    assert set(got) == set(in_order)
    assert max(Counter(got).values()) > 1
    first = list(dict.fromkeys(got))
    assert first != in_order
    page = box.call("GET", "/2.0/events", params={"stream_position": start, "limit": 500})
    assert 0 < len({event["event_id"] for event in page["entries"]}) < 30
    assert events(box, now(box)) == []


def test_trap_27_the_source_is_todays_item(box: Box) -> None:
    start = now(box)
    file = box.upload("/f", b"x")
    box.mkdir("/d")
    box.move("/f", "/d", "g")
    upload, _create, move, _rename = events(box, start)
    assert upload["source"] == move["source"]
    assert (upload["source"]["name"], upload["source"]["parent"]["name"]) == ("g", "d")
    box.delete("/d/g")
    trashed = events(box, start)[-1]
    assert (trashed["event_type"], trashed["source"]["item_status"]) == ("ITEM_TRASH", "trashed")
    assert trashed["source"]["path_collection"]["entries"][0]["name"] == "Trash"
    box.call("DELETE", f"/2.0/files/{file['id']}/trash")
    after = events(box, start)
    assert len(after) == 5  # a purge says nothing
    assert after[0]["source"] is None


def test_one_event_tells_of_a_whole_folder(box: Box) -> None:
    box.makedirs("/d/e")
    box.upload("/d/e/f", b"")
    start = now(box)
    box.delete("/d")
    assert types(box, start) == ["ITEM_TRASH"]
    box.call("POST", f"/2.0/folders/{box.trash()[0]['id']}")
    box.settings(events_per_descendant=True)
    start = now(box)
    box.delete("/d")
    assert types(box, start) == ["ITEM_TRASH"] * 3


def test_downloads_are_not_in_the_stream_of_changes(box: Box) -> None:
    box.upload("/f", b"x")
    start = now(box)
    box.read("/f")
    assert types(box, start) == ["ITEM_DOWNLOAD"]
    assert events(box, start, stream_type="changes") == []


def test_a_delayed_event_is_not_listed(box: Box) -> None:
    start = now(box)
    box.settings(event_delay_s=3600.0)
    box.upload("/f", b"")
    assert events(box, start) == []
    assert now(box) == start
    box.settings(event_delay_s=0.0)
    assert types(box, start) == ["ITEM_UPLOAD"]


def test_trap_28_a_long_poll_says_one_word_and_closes(box: Box) -> None:
    start = now(box)
    poll = Poll(box, start)
    box.upload("/f", b"")
    assert poll.answer() == {"message": "new_change"}
    assert poll.reply.headers["Connection"] == "close"
    behind = box.ask("GET", poll_url(box, start), headers={"Authorization": ""})
    assert behind.json() == {"message": "new_change"}
    assert box.ask("GET", box.url + "/realtime/subscribe?channel=nonsense&stream_position=0").status_code == 404


def test_trap_28_an_idle_poll_says_reconnect(box: Box) -> None:
    box.settings(poll_reconnect_s=0.1)
    assert box.call("GET", poll_url(box, now(box))) == {"version": 1, "message": "reconnect"}
    box.settings(poll_reconnect_s=60.0, poll_spurious_s=0.1)
    assert box.call("GET", poll_url(box, now(box))) == {"message": "new_change"}


def test_a_poll_of_changes_sleeps_through_downloads(box: Box) -> None:
    box.upload("/f", b"x")
    poll = Poll(box, now(box), "changes")
    box.read("/f")
    box.call("GET", "/2.0/users/me")
    assert poll.is_alive()
    box.upload("/g", b"x")
    assert poll.answer() == {"message": "new_change"}


def test_a_poll_waits_until_a_delayed_event_is_listed(box: Box) -> None:
    box.settings(event_delay_s=0.3)
    start = now(box)
    poll = Poll(box, start)
    box.upload("/f", b"")
    assert poll.answer() == {"message": "new_change"}
    assert types(box, start) == ["ITEM_UPLOAD"]


def test_a_reset_sends_polls_away(box: Box) -> None:
    poll = Poll(box, now(box))
    while poll.reply is None and poll.is_alive():
        box.reset()
        poll.join(0.05)
    assert poll.answer()["message"] == "reconnect" or poll.reply.status_code == 404
