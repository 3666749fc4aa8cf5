"""Files and folders: shapes, names, conflicts, moves, guards (box-api.md sections 3, 5, 7, 8, 9)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import requests

from tests.support.box import Box

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$")


def refusal(response: requests.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_trap_01_ids_and_etags_are_strings(box: Box) -> None:
    made = box.upload("/f", b"x")
    file = box.get("file", made["id"], "etag,sequence_id,version_number,size,file_version")
    for name in ("id", "etag", "sequence_id", "version_number"):
        assert isinstance(file[name], str), name
    assert int(file["id"]) > 1 << 32
    assert file["size"] == 1
    assert isinstance(file["file_version"]["id"], str)


def test_trap_02_a_file_and_a_folder_may_share_a_number(box: Box) -> None:
    assert box.mkdir("/d") == box.upload("/f", b"")["id"]
    assert (box.find("/d")["type"], box.find("/f")["type"]) == ("folder", "file")


def test_trap_03_the_root_has_no_etag_and_heads_every_path(box: Box) -> None:
    root = box.get("folder", "0")
    for name in (
        "etag", "sequence_id", "parent", "created_at", "modified_at", "content_created_at", "content_modified_at",
    ):  # fmt: skip
        assert root[name] is None, name
    assert root["name"] == "All Files"
    assert root["path_collection"] == {"total_count": 0, "entries": []}
    assert root["created_by"] == {"type": "user", "id": "", "name": "", "login": ""}
    inner = box.makedirs("/a/b")
    path = box.get("folder", inner)["path_collection"]
    assert [entry["name"] for entry in path["entries"]] == ["All Files", "a"]


def test_the_root_stays_where_it_is(box: Box) -> None:
    folder = box.mkdir("/d")
    assert refusal(box.ask("DELETE", "/2.0/folders/0?recursive=true"))[0] == 403
    assert refusal(box.ask("PUT", "/2.0/folders/0", json={"name": "x"}))[0] == 403
    assert refusal(box.ask("PUT", "/2.0/folders/0", json={"parent": {"id": folder}}))[0] == 403
    assert box.ask("POST", "/2.0/folders/0/copy", json={"parent": {"id": folder}}).status_code == 500


def test_trap_04_fields_replace(box: Box) -> None:
    box.upload("/f", b"x")
    folder = box.mkdir("/d")
    page = box.call("GET", "/2.0/folders/0/items", params={"fields": "sha1,nonsense,size"})
    by_type = {entry["type"]: entry for entry in page["entries"]}
    assert set(by_type["file"]) == {"type", "id", "etag", "sha1", "size"}
    assert set(by_type["folder"]) == {"type", "id", "etag", "size"}
    assert set(box.get("folder", folder, "name")) == {"type", "id", "etag", "name"}


def test_trap_09_names_are_compared_without_case_and_in_nfkc(box: Box) -> None:
    box.upload("/A.txt", b"")
    form = [("attributes", (None, json.dumps({"name": "a.TXT", "parent": {"id": "0"}}))), ("file", ("f", b""))]
    assert refusal(box.ask("POST", "/api/2.0/files/content", files=form)) == (409, "item_name_in_use")
    create = {"name": "ａ.txt", "parent": {"id": "0"}}  # a full-width a
    assert refusal(box.ask("POST", "/2.0/folders", json=create)) == (409, "item_name_in_use")
    assert box.rename("/A.txt", "a.txt")["name"] == "a.txt"
    box.mkdir("/Straße")
    assert box.ask("POST", "/2.0/folders", json={"name": "STRASSE", "parent": {"id": "0"}}).status_code == 409
    nfd = "Cafe\u0301"
    assert box.call("POST", "/2.0/folders", json={"name": nfd, "parent": {"id": "0"}})["name"] == nfd


def test_trap_10_nothing_is_ever_overwritten(box: Box) -> None:
    box.upload("/f", b"one")
    box.upload("/g", b"two")
    box.mkdir("/d")
    box.upload("/d/f", b"three")
    assert refusal(box.ask("PUT", f"/2.0/files/{box.find('/g')['id']}", json={"name": "F"})) == (
        409,
        "item_name_in_use",
    )
    move = {"parent": {"id": box.find("/d")["id"]}}
    assert refusal(box.ask("PUT", f"/2.0/files/{box.find('/f')['id']}", json=move)) == (409, "item_name_in_use")
    assert {path: entry.size for path, entry in box.tree().items() if entry.kind == "file"} == {
        "/f": 3, "/g": 3, "/d/f": 5,
    }  # fmt: skip


def test_trap_11_conflicts_have_three_shapes(box: Box) -> None:
    folder = box.mkdir("/taken")
    form = [("attributes", (None, json.dumps({"name": "taken", "parent": {"id": "0"}}))), ("file", ("f", b""))]
    upload = box.ask("POST", "/api/2.0/files/content", files=form).json()
    assert upload["context_info"]["conflicts"]["type"] == "folder"
    preflight = box.ask("OPTIONS", "/2.0/files/content", json={"name": "Taken", "parent": {"id": "0"}}).json()
    assert preflight["context_info"]["conflicts"]["id"] == folder
    create = box.ask("POST", "/2.0/folders", json={"name": "taken", "parent": {"id": "0"}}).json()
    assert [entry["id"] for entry in create["context_info"]["conflicts"]] == [folder]
    other = box.mkdir("/other")
    rename = box.ask("PUT", f"/2.0/folders/{other}", json={"name": "taken"}).json()
    assert (rename["code"], "context_info" in rename) == ("item_name_in_use", False)


def test_trap_12_statuses_are_boxs(box: Box) -> None:
    folder = box.ask("POST", "/2.0/folders", json={"name": "d", "parent": {"id": "0"}})
    number = folder.json()["id"]
    copy = box.ask("POST", f"/2.0/folders/{number}/copy", json={"parent": {"id": "0"}, "name": "e"})
    update = box.ask("PUT", f"/2.0/folders/{number}", json={"name": "f"})
    lock = box.ask("POST", "/2.0/folder_locks", json={"folder": {"type": "folder", "id": number}})
    unlock = box.ask("DELETE", f"/2.0/folder_locks/{lock.json()['id']}")
    delete = box.ask("DELETE", f"/2.0/folders/{number}")
    restore = box.ask("POST", f"/2.0/folders/{number}")
    box.ask("DELETE", f"/2.0/folders/{number}")
    purge = box.ask("DELETE", f"/2.0/folders/{number}/trash")
    statuses = [r.status_code for r in (folder, copy, update, lock, unlock, delete, restore, purge)]
    assert statuses == [201, 201, 200, 200, 204, 204, 201, 204]
    assert delete.content == purge.content == unlock.content == b""


def test_trap_19_if_match_guards_updates_and_deletes_but_no_moves_and_no_copies(box: Box) -> None:
    file = box.upload("/f", b"x")
    target = box.mkdir("/d")
    stale = {"If-Match": "9"}
    path = f"/2.0/files/{file['id']}"
    form = [("attributes", (None, json.dumps({"name": "f"}))), ("file", ("f", b"y"))]
    assert refusal(box.ask("PUT", path, json={"name": "g"}, headers=stale)) == (412, "precondition_failed")
    assert box.ask("DELETE", path, headers=stale).status_code == 412
    upload = f"/api/2.0/files/{file['id']}/content"
    assert box.ask("POST", upload, files=form, headers=stale).status_code == 412
    assert box.ask("PUT", path, json={"parent": {"id": target}}, headers=stale).status_code == 200
    copy = {"parent": {"id": "0"}, "name": "copy"}
    assert box.ask("POST", f"{path}/copy", json=copy, headers=stale).status_code == 201
    assert box.ask("PUT", path, json={"name": "g"}, headers={"If-Match": '"1"'}).json()["etag"] == "2"
    assert box.ask("DELETE", f"/2.0/folders/{target}?recursive=true", headers=stale).status_code == 412
    fresh = box.ask("GET", path, headers={"If-None-Match": "2"})
    assert (fresh.status_code, fresh.content) == (304, b"")


def test_trap_20_there_are_two_times(box: Box) -> None:
    made = box.upload("/f", b"one", modified_at="2026-03-02T16:59:58.004Z")
    assert made["content_modified_at"] == "2026-03-02T08:59:58-08:00"
    renamed = box.rename("/f", "g")
    assert renamed["content_modified_at"] == made["content_modified_at"]
    assert renamed["content_created_at"] == made["content_created_at"]
    updated = box.new_version("/g", b"two")
    assert updated["content_created_at"] == made["content_created_at"]
    assert updated["content_modified_at"] == updated["modified_at"]
    put = box.update("/g", content_modified_at="2020-07-01T12:00:00+02:00")
    assert put["content_modified_at"] == "2020-07-01T03:00:00-07:00"
    early = box.ask("PUT", f"/2.0/files/{made['id']}", json={"content_modified_at": "1969-12-31T00:00:00Z"})
    assert refusal(early) == (400, "bad_request")


def test_trap_21_times_have_the_accounts_offset_and_no_fractions(box: Box) -> None:
    file = box.upload("/f", b"x")
    for name in ("created_at", "modified_at", "content_created_at", "content_modified_at"):
        assert TIME.match(file[name]), file[name]
    assert box.update("/f", content_modified_at="2026-01-15T00:00:00Z")["content_modified_at"].endswith("-08:00")
    assert box.update("/f", content_modified_at="2026-07-15T00:00:00Z")["content_modified_at"].endswith("-07:00")


def test_trap_23_a_folder_with_children_is_not_deleted_silently(box: Box) -> None:
    folder = box.mkdir("/d")
    box.upload("/d/f", b"x")
    assert refusal(box.ask("DELETE", f"/2.0/folders/{folder}")) == (400, "folder_not_empty")
    box.delete("/d/f")
    assert box.ask("DELETE", f"/2.0/folders/{folder}").status_code == 204


def test_trap_24_a_401_speaks_in_its_header(box: Box) -> None:
    stranger = box.as_user("nonsense")
    reply = stranger.ask("GET", "/2.0/users/me")
    stranger.close()
    assert (reply.status_code, reply.content) == (401, b"")
    assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]


def test_trap_29_what_is_not_there_and_what_is_no_id(box: Box) -> None:
    file = box.upload("/f", b"")
    bob = box.as_user("bob-token")
    assert refusal(bob.ask("GET", f"/2.0/files/{file['id']}")) == (404, "not_found")
    bob.close()
    missing = box.ask("GET", "/2.0/folders/77").json()
    assert (missing["code"], missing["context_info"]["errors"][0]["name"]) == ("not_found", "folder")
    assert "'d_77'" in missing["context_info"]["errors"][0]["message"]
    assert refusal(box.ask("GET", "/2.0/folders/abc")) == (405, "method_not_allowed")
    assert box.ask("GET", "/3.0/folders/0").status_code == 404
    create = box.ask("POST", "/2.0/folders", json={"name": "x", "parent": {"id": "77"}}).json()
    assert (create["code"], create["context_info"]["errors"][0]["name"]) == ("not_found", "parent")


def test_each_user_has_a_root_of_their_own(box: Box) -> None:
    bob = box.as_user("bob-token")
    box.mkdir("/ada's")
    bob.mkdir("/bob's")
    assert [entry["name"] for entry in box.entries()] == ["ada's"]
    assert [entry["name"] for entry in bob.entries()] == ["bob's"]
    assert box.me()["login"] != bob.me()["login"]
    bob.close()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\x07", "a\x7f", "trailing ", "\ud800"])
def test_names_that_box_refuses(box: Box, name: str) -> None:
    body = json.dumps({"name": name, "parent": {"id": "0"}})
    assert refusal(box.ask("POST", "/2.0/folders", data=body)) == (400, "item_name_invalid")


@pytest.mark.parametrize("name", [" leading", "a<b>c:d|e?f*-", "\"'%#;", "dot.", "😀", "x" * 255, "日" * 255])
def test_names_that_box_takes(box: Box, name: str) -> None:
    assert box.call("POST", "/2.0/folders", json={"name": name, "parent": {"id": "0"}})["name"] == name


def test_a_name_may_have_255_characters(box: Box) -> None:
    body = {"name": "x" * 256, "parent": {"id": "0"}}
    assert refusal(box.ask("POST", "/2.0/folders", json=body)) == (400, "item_name_too_long")


def test_a_move_keeps_the_id_and_takes_sizes_along(box: Box) -> None:
    folder = box.mkdir("/d")
    box.makedirs("/e/deep")
    box.upload("/d/f", b"12345")
    moved = box.move("/d", "/e/deep", "n")
    assert (moved["id"], moved["etag"], moved["size"]) == (folder, "1", 5)
    assert [entry["name"] for entry in moved["path_collection"]["entries"]] == ["All Files", "e", "deep"]
    assert box.get("folder", box.folder_id("/e"), "size")["size"] == 5
    below = box.ask("PUT", f"/2.0/folders/{box.folder_id('/e')}", json={"parent": {"id": folder}})
    assert refusal(below) == (400, "cyclical_folder_structure")


def test_a_copy_is_new_with_the_old_content(box: Box) -> None:
    box.makedirs("/d/sub")
    file = box.upload("/d/sub/f", b"abc", modified_at="2026-03-02T08:59:58-08:00")
    box.new_version("/d/sub/f", b"abcd")
    body: dict[str, Any] = {"parent": {"id": "0"}, "name": "g"}
    copy = box.call("POST", f"/2.0/files/{file['id']}/copy", json=body | {"version": file["file_version"]["id"]})
    assert (copy["etag"], copy["size"], copy["content_modified_at"]) == ("0", 3, file["content_modified_at"])
    assert copy["id"] != file["id"]
    tree = box.call("POST", f"/2.0/folders/{box.folder_id('/d')}/copy", json={"parent": {"id": "0"}, "name": "e"})
    assert tree["size"] == 4
    assert box.read("/e/sub/f") == b"abcd"
    inside = box.call("POST", f"/2.0/folders/{tree['id']}/copy", json={"parent": {"id": tree["id"]}, "name": "me"})
    assert set(box.tree()) >= {"/e/me/sub/f"}
    assert inside["id"] != tree["id"]


def test_a_lock_stops_others_and_not_its_owner(box: Box) -> None:
    file = box.upload("/f", b"x")
    box.lock("/f", "2030-01-01T00:00:00Z")
    lock = box.get("file", file["id"], "lock")["lock"]
    assert (lock["type"], lock["expires_at"]) == ("lock", "2029-12-31T16:00:00-08:00")
    assert box.get("file", file["id"])["etag"] == "0"
    assert box.new_version("/f", b"y")["etag"] == "1"
    box.update("/f", lock=None)
    assert box.get("file", file["id"], "lock")["lock"] is None


def test_a_folder_lock_stops_move_and_delete(box: Box) -> None:
    folder = box.mkdir("/d")
    target = box.mkdir("/e")
    box.call("POST", "/2.0/folder_locks", json={"folder": {"type": "folder", "id": folder}})
    assert box.ask("PUT", f"/2.0/folders/{folder}", json={"parent": {"id": target}}).status_code == 403
    assert box.ask("DELETE", f"/2.0/folders/{folder}").status_code == 403
    box.upload("/d/still-writable", b"")
    (lock,) = box.call("GET", "/2.0/folder_locks", params={"folder_id": folder})["entries"]
    box.call("DELETE", f"/2.0/folder_locks/{lock['id']}")
    assert box.ask("DELETE", f"/2.0/folders/{folder}?recursive=true").status_code == 204


def test_an_unknown_api_version_is_refused(box: Box) -> None:
    assert box.ask("GET", "/2.0/users/me", headers={"box-version": "2024.0"}).status_code == 200
    for version in ("2023.0", "", "2024.0, 2025.0"):
        reply = box.ask("GET", "/2.0/users/me", headers={"box-version": version})
        assert refusal(reply) == (400, "invalid_api_version")
        assert "2024.0" in reply.json()["message"]


def test_a_long_description_is_cut(box: Box) -> None:
    box.upload("/f", b"")
    assert len(box.update("/f", description="x" * 255)["description"]) == 255
    assert len(box.update("/f", description="x" * 257)["description"]) == 255
