"""The trash with its oddities, and versions (box-api.md sections 13 and 14)."""

from __future__ import annotations

from tests.support.box import Box


def test_trap_22_a_trashed_file_is_still_shown_and_a_trashed_folder_is_not(box: Box) -> None:
    file = box.upload("/f", b"x")
    folder = box.mkdir("/d")
    inside = box.upload("/d/inside", b"yy")
    box.delete("/f")
    box.delete("/d")
    shown = box.get("file", file["id"])
    assert (shown["item_status"], shown["etag"]) == ("trashed", "1")
    assert shown["path_collection"]["entries"] == [
        {"type": "folder", "id": "1", "sequence_id": None, "etag": None, "name": "Trash"}
    ]
    assert shown["parent"]["id"] == "0"
    for path in (f"/2.0/folders/{folder}", f"/2.0/folders/{folder}/items", f"/2.0/files/{inside['id']}"):
        reply = box.ask("GET", path)
        assert (reply.status_code, reply.json()["code"]) == (404, "trashed")
    put = box.ask("PUT", f"/2.0/files/{file['id']}", json={"name": "g"})
    assert (put.status_code, put.json()["code"]) == (404, "trashed")
    assert box.ask("GET", f"/2.0/files/{inside['id']}/trash").status_code == 404
    assert [(entry["type"], entry["name"]) for entry in box.trash()] == [("folder", "d"), ("file", "f")]
    assert box.me()["space_used"] == 3


def test_a_restored_folder_brings_its_tree(box: Box) -> None:
    folder = box.mkdir("/d")
    box.makedirs("/d/deep/er")
    box.upload("/d/deep/f", b"abc")
    apart = box.upload("/d/apart", b"12")
    box.delete("/d/apart")
    box.delete("/d")
    assert len(box.trash()) == 2
    reply = box.ask("POST", f"/2.0/folders/{folder}", json={"name": "e"})
    assert (reply.status_code, reply.json()["name"], reply.json()["etag"]) == (201, "e", "2")
    assert set(box.tree()) == {"/e", "/e/deep", "/e/deep/er", "/e/deep/f"}
    assert box.get("folder", "0", "size")["size"] == 3
    assert [entry["id"] for entry in box.trash()] == [apart["id"]]
    box.call("POST", f"/2.0/files/{apart['id']}")
    assert "/e/apart" in box.tree()


def test_restoring_wants_a_free_name_and_a_parent(box: Box) -> None:
    folder = box.mkdir("/d")
    file = box.upload("/d/f", b"x")
    box.delete("/d/f")
    box.upload("/d/F", b"y")
    taken = box.ask("POST", f"/2.0/files/{file['id']}")
    assert (taken.status_code, taken.json()["code"]) == (409, "item_name_in_use")
    box.delete("/d")
    assert box.ask("POST", f"/2.0/files/{file['id']}").status_code == 404
    assert box.ask("POST", f"/2.0/files/{file['id']}", json={"parent": {"id": "0"}}).status_code == 201
    assert box.ask("POST", f"/2.0/files/{file['id']}").json()["code"] == "not_trashed"
    assert box.ask("DELETE", f"/2.0/folders/{folder}/trash").status_code == 204
    assert box.ask("GET", f"/2.0/folders/{folder}/trash").status_code == 404
    assert box.me()["space_used"] == 1


def test_marker_paging_of_the_trash_takes_no_sort(box: Box) -> None:
    for number in range(5):
        box.upload(f"/{number}", b"")
        box.delete(f"/{number}")
    bad = box.ask("GET", "/2.0/folders/trash/items", params={"usemarker": "true", "sort": "name"})
    assert (bad.status_code, bad.json()["context_info"]["errors"][0]["reason"]) == (400, "invalid_parameter")
    names, marker = [], "0"
    while marker:
        page = box.call("GET", "/2.0/folders/trash/items", params={"usemarker": "true", "limit": 2, "marker": marker})
        names += [entry["name"] for entry in page["entries"]]
        marker = page["next_marker"]
    assert names == ["0", "1", "2", "3", "4"]


def test_without_a_trash_delete_is_final(box: Box) -> None:
    box.settings(trash=False)
    file = box.upload("/f", b"x")
    box.delete("/f")
    assert box.ask("GET", f"/2.0/files/{file['id']}").status_code == 404
    assert box.trash() == []


def test_trap_30_promotion_makes_a_new_version_with_the_old_name(box: Box) -> None:
    file = box.upload("/old.txt", b"one")
    first = file["file_version"]["id"]
    box.new_version("/old.txt", b"three")
    box.rename("/old.txt", "new.txt")
    path = f"/2.0/files/{file['id']}/versions"
    assert [v["id"] for v in box.call("GET", path)["entries"]] == [first]
    reply = box.ask("POST", f"{path}/current", json={"type": "file_version", "id": first})
    assert reply.status_code == 201
    promoted = reply.json()
    assert promoted["id"] not in (first, file["file_version"]["id"])
    assert promoted["name"] == "old.txt"
    now = box.file("/old.txt")
    assert (now["size"], now["file_version"]["id"]) == (3, promoted["id"])
    listed = box.call("GET", path)
    assert listed["total_count"] == 2
    assert [v["size"] for v in listed["entries"]] == [5, 3]


def test_trap_30_a_deleted_version_stays_listed(box: Box) -> None:
    file = box.upload("/f", b"one")
    path = f"/2.0/files/{file['id']}/versions"
    assert box.call("GET", path)["total_count"] == 0
    box.new_version("/f", b"two")
    old = file["file_version"]["id"]
    assert box.ask("DELETE", f"{path}/{old}").status_code == 204
    (listed,) = box.call("GET", path)["entries"]
    assert listed["trashed_at"] is not None
    restored = box.call("PUT", f"{path}/{old}", json={"trashed_at": None}, params={"fields": "trashed_at,restored_at"})
    assert restored["trashed_at"] is None
    assert restored["restored_at"] is not None
    current = box.file("/f")["file_version"]["id"]
    assert box.ask("DELETE", f"{path}/{current}").status_code == 403
    content = box.ask("GET", f"/2.0/files/{file['id']}/content", params={"version": old})
    assert content.content == b"one"
