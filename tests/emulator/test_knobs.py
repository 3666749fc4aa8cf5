"""Each knob that no other test turns, and that all of them are documented and tested."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import requests

from boxfs.emulator.settings import Settings, described
from tests.emulator.test_events import Poll
from tests.support.box import Box, EmulatorProcess

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "EMULATOR.md"


def documented() -> str:
    """The tables of knobs as docs/EMULATOR.md is to hold them."""
    lines: list[str] = []
    last = ""
    for name, (group, default, meaning) in described().items():
        if group != last:
            lines += ["", f"### {group}", "", "| Knob | Default | Meaning |", "|---|---|---|"]
            last = group
        shown = default if default != "" else "-"
        lines.append(f"| `{name}` | {shown} | {meaning} |")
    return "\n".join(lines).strip() + "\n"


def test_the_document_tells_all_knobs() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    head, mark, _ = text.partition("### The account\n")
    assert mark
    assert text == head + documented(), "write the end of docs/EMULATOR.md anew: it is what documented() gives"


def test_every_knob_has_a_meaning_and_a_test() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in sorted(HERE.glob("test_*.py")))
    assert [name for name in Settings().as_dict() if name not in tests] == []
    assert [name for name, (_, _, meaning) in described().items() if not meaning] == []


def test_words_and_numbers_are_checked(box: Box) -> None:
    for bad in ({"last_marker": "nil"}, {"new_version_status": 204}, {"latency_s": -1.0}, {"gzip": 1}):
        assert box.ask("PUT", "/_emulator/settings", json=bad).status_code == 400


def test_knob_timezone(box: Box) -> None:
    box.settings(timezone="Asia/Tokyo")
    assert box.upload("/a", b"x")["created_at"].endswith("+09:00")


def test_knob_gzip(box: Box) -> None:
    for number in range(20):
        box.mkdir(f"/a folder with a long name {number}")
    url, headers = f"{box.url}/2.0/folders/0/items", {"Authorization": "Bearer dev-token", "Accept-Encoding": "gzip"}
    assert requests.get(url, headers=headers, timeout=60).headers["Content-Encoding"] == "gzip"
    box.settings(gzip=False)
    assert "Content-Encoding" not in requests.get(url, headers=headers, timeout=60).headers


def test_knobs_new_version_status_and_web_link_status(box: Box) -> None:
    number = box.upload("/a", b"1")["id"]
    box.settings(new_version_status=200, web_link_status=200)
    form = [("attributes", (None, '{"name": "a"}')), ("file", ("x", b"2"))]
    assert box.ask("POST", f"/api/2.0/files/{number}/content", files=form).status_code == 200
    body = {"url": "https://example.com", "name": "w", "parent": {"id": "0"}}
    assert box.ask("POST", "/2.0/web_links", json=body).status_code == 200


def test_knob_refuse_astral_names(box: Box) -> None:
    box.mkdir("/😀")
    box.settings(refuse_astral_names=True)
    refused = box.ask("POST", "/2.0/folders", json={"name": "😁", "parent": {"id": "0"}})
    assert refused.json()["code"] == "item_name_invalid"


def test_knob_trim_upload_names(box: Box) -> None:
    form = [("attributes", (None, '{"name": "a ", "parent": {"id": "0"}}')), ("file", ("x", b"2"))]
    assert box.ask("POST", "/api/2.0/files/content", files=form).json()["code"] == "item_name_invalid"
    box.settings(trim_upload_names=True)
    assert box.ask("POST", "/api/2.0/files/content", files=form).json()["entries"][0]["name"] == "a"


def test_knob_searches_per_minute(box: Box) -> None:
    box.settings(searches_per_minute=1)
    assert [box.ask("GET", "/2.0/search?query=a").status_code for _ in range(2)] == [200, 429]
    assert box.ask("GET", "/2.0/users/me").status_code == 200


def test_knobs_max_items_offset_and_max_offset(box: Box) -> None:
    number = box.upload("/a", b"x")["id"]
    box.settings(max_items_offset=10, max_offset=5)
    for path, most in (
        ("/2.0/folders/0/items?", 10),
        ("/2.0/search?query=a&", 5),
        (f"/2.0/files/{number}/versions?", 5),
    ):
        assert box.ask("GET", f"{path}offset={most}").status_code == 200
        assert box.ask("GET", f"{path}offset={most + 1}").status_code == 400


def test_knobs_download_host_fresh_content_202_and_retry_after_s(box: Box) -> None:
    path = f"/2.0/files/{box.upload('/a', b'x')['id']}/content"
    box.settings(download_host="dl.example:1", fresh_content_202=1, retry_after_s=9)
    first, second = (box.ask("GET", path, allow_redirects=False) for _ in range(2))
    assert (first.status_code, first.headers["Retry-After"]) == (202, "9")
    assert second.headers["Location"].startswith("http://dl.example:1/")


def test_knob_session_conflict(box: Box) -> None:
    body = {"folder_id": "0", "file_size": 20_000_000, "file_name": "big"}
    assert [box.ask("POST", "/api/2.0/files/upload_sessions", json=body).status_code for _ in range(2)] == [201, 201]
    box.settings(session_conflict=True)
    refused = box.ask("POST", "/api/2.0/files/upload_sessions", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "session_conflict")


def test_knob_keep_versions(box: Box) -> None:
    box.settings(keep_versions=2)
    box.upload("/a", b"0")
    for number in range(1, 5):
        box.new_version("/a", b"%d" % number)
    assert len(box.versions("/a")) == 2


def test_knobs_trash_days_trashed_folder_code_and_trash_bumps_etag(box: Box) -> None:
    folder, file = box.mkdir("/d"), box.upload("/a", b"x")
    box.settings(trash_days=1, trashed_folder_code="not_found", trash_bumps_etag=False)
    box.delete("/d")
    box.delete("/a")
    assert box.ask("GET", f"/2.0/folders/{folder}").json()["code"] == "not_found"
    trashed = box.get("file", file["id"])
    assert trashed["etag"] == file["etag"]
    assert trashed["purged_at"][:10] > trashed["trashed_at"][:10]


def events(box: Box) -> list[tuple[str, bool]]:
    """(type, whether it has a source)."""
    found = box.call("GET", "/2.0/events?stream_position=0&limit=500")["entries"]
    return [(event["event_type"], event["source"] is not None) for event in found]


def test_knob_event_null_source(box: Box) -> None:
    box.settings(event_null_source=1.0)
    box.mkdir("/a")
    assert events(box) == [("ITEM_CREATE", False)]


@pytest.mark.parametrize(("both", "types"), [(True, ["ITEM_MOVE", "ITEM_RENAME"]), (False, ["ITEM_MOVE"])])
def test_knob_event_move_and_rename(box: Box, both: bool, types: list[str]) -> None:
    box.settings(event_move_and_rename=both)
    box.mkdir("/d")
    box.upload("/a", b"x")
    box.move("/a", "/d", "b")
    assert [name for name, _ in events(box)][2:] == types


def test_knob_event_new_version_type(box: Box) -> None:
    box.settings(event_new_version_type="ITEM_MODIFY")
    box.upload("/a", b"1")
    box.new_version("/a", b"2")
    assert [name for name, _ in events(box)] == ["ITEM_UPLOAD", "ITEM_MODIFY"]


def test_knobs_poll_retry_timeout_s_and_poll_max_retries(box: Box) -> None:
    box.settings(poll_retry_timeout_s=17, poll_max_retries=3)
    server = box.call("OPTIONS", "/2.0/events")["entries"][0]
    assert (server["retry_timeout"], server["max_retries"]) == (17, "3")


def test_knob_event_early_poll(box: Box) -> None:
    box.settings(event_delay_s=3600.0, event_early_poll=True)
    now = box.call("GET", "/2.0/events?stream_position=now")["next_stream_position"]
    poll = Poll(box, now)
    made = itertools.count()
    while poll.is_alive():  # what happens before the poll has begun does not end it
        box.mkdir(f"/a{next(made)}")
        poll.join(0.05)
    assert poll.answer() == {"message": "new_change"}
    assert box.call("GET", f"/2.0/events?stream_position={now}")["entries"] == []


def test_knobs_code_life_s_and_refresh_life_s_are_taken_from_the_command_line(tmp_path: Path) -> None:
    arguments = ["--set", "code_life_s=5", "--set", "refresh_life_s=6.5"]
    with EmulatorProcess(tmp_path / "data", arguments) as emulator:
        box = Box(emulator.url)
        knobs = box.call("GET", "/_emulator/settings")
        assert (knobs["code_life_s"], knobs["refresh_life_s"]) == (5.0, 6.5)
        box.close()


def test_knob_update_conflicts(box: Box) -> None:
    taken = box.mkdir("/taken")
    path = f"/2.0/folders/{box.mkdir('/other')}"
    told = []
    for word in ("none", "object", "list"):
        box.settings(update_conflicts=word)
        told.append(box.ask("PUT", path, json={"name": "Taken"}).json().get("context_info"))
    mini = {"type": "folder", "id": taken, "sequence_id": "0", "etag": "0", "name": "taken"}
    assert told == [None, {"conflicts": mini}, {"conflicts": [mini]}]


def test_knob_generic_paging_error(box: Box) -> None:
    for generic, code in ((False, "invalid_limit"), (True, "bad_request")):
        box.settings(generic_paging_error=generic)
        assert box.ask("GET", "/2.0/folders/0/items?limit=x").json()["code"] == code


def test_knob_children_change_parents(box: Box) -> None:
    folder = box.mkdir("/d")
    box.upload("/d/f", b"x")
    assert box.get("folder", folder)["etag"] == "0"
    box.settings(children_change_parents=True)
    box.new_version("/d/f", b"y")
    box.delete("/d/f")
    assert box.get("folder", folder)["etag"] == "2"


def test_knob_lock_bumps_etag(box: Box) -> None:
    box.settings(lock_bumps_etag=True)
    box.upload("/f", b"x")
    box.lock("/f")
    assert box.file("/f")["etag"] == "1"


def test_knob_missing_if_match_412(box: Box) -> None:
    for strict, status in ((False, 404), (True, 412)):
        box.settings(missing_if_match_412=strict)
        assert box.ask("DELETE", "/2.0/files/77", headers={"If-Match": "0"}).status_code == status
        assert box.ask("DELETE", "/2.0/files/77").status_code == 404


def test_knob_range_error_400(box: Box) -> None:
    path = f"/2.0/files/{box.upload('/f', b'0123456789')['id']}/content"
    box.settings(range_error_400=True)
    beyond = box.ask("GET", path, headers={"Range": "bytes=10-"}, allow_redirects=False)
    assert (beyond.status_code, beyond.json()["code"]) == (400, "requested_page_out_of_range")
    assert box.ask("GET", path, headers={"Range": "bytes=9-20"}).content == b"9"


def test_knob_same_content_is_no_version(box: Box) -> None:
    box.settings(same_content_is_no_version=True)
    file = box.upload("/f", b"x")
    assert box.new_version("/f", b"x")["file_version"] == file["file_version"]
    assert box.new_version("/f", b"y")["etag"] == "1"


def test_knob_trashed_inside_code(box: Box) -> None:
    box.mkdir("/d")
    path = f"/2.0/files/{box.upload('/d/f', b'x')['id']}"
    box.delete("/d")
    codes = []
    for code in ("trashed", "not_found"):
        box.settings(trashed_inside_code=code)
        codes.append(box.ask("GET", path).json()["code"])
    assert codes == ["trashed", "not_found"]


def test_knobs_large_operation_items_and_large_operation_s(box: Box) -> None:
    box.mkdir("/elsewhere")
    box.bulk([(f"/big/f{number}", 0) for number in range(5)] + [("/target", None)])
    box.settings(large_operation_items=4, large_operation_s=3600.0)
    box.move("/big", "/target")
    body = {"name": "x", "parent": {"id": box.folder_id("/target/big")}}
    blocked = box.ask("POST", "/2.0/folders", json=body)
    assert (blocked.status_code, blocked.json()["code"]) == (409, "operation_blocked_temporary")
    rename = box.ask("PUT", f"/2.0/files/{box.find('/target/big/f0')['id']}", json={"name": "g"})
    assert rename.json()["code"] == "operation_blocked_temporary"
    box.upload("/elsewhere/f", b"")
    box.settings(large_operation_items=0)
    box.reset()
    box.mkdir("/free again")


def test_knob_event_days_an_old_position_is_served_from_the_oldest_event_on(tmp_path: Path) -> None:
    with EmulatorProcess(tmp_path / "data", ["--set", "event_days=1"]) as process:
        box = Box(process.url)
        box.upload("/old", b"")
        process.arguments += ["--set", f"clock_offset_s={2 * 86400}"]
        process.restart()
        box.upload("/new", b"")
        (event,) = box.call("GET", "/2.0/events?stream_position=1")["entries"]
        assert event["source"]["name"] == "new"
        box.close()
