"""Comments, web links, metadata, search, collections, pictures, zips: the areas around files and folders."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from tests.support.box import OTHER_TOKEN, Box

PATCH = {"Content-Type": "application/json-patch+json"}


@pytest.fixture
def bob(box: Box) -> Iterator[Box]:
    client = box.as_user(OTHER_TOKEN)
    yield client
    client.close()


# Comments


def test_comments(box: Box, bob: Box) -> None:
    file = box.upload("/a", b"x")["id"]
    target = {"type": "file", "id": file}
    made = box.ask("POST", "/2.0/comments", json={"message": "good", "item": target})
    assert made.status_code == 201
    number = made.json()["id"]
    again = box.ask("POST", "/2.0/comments", json={"message": "good", "item": target})
    assert (again.status_code, again.json()["code"]) == (409, "recent_similar_comment")
    reply = box.call("POST", "/2.0/comments", json={"message": "thanks", "item": {"type": "comment", "id": number}})
    assert reply["is_reply_comment"] is True
    assert box.call("PUT", f"/2.0/comments/{number}", json={"message": "better"})["message"] == "better"
    assert box.get("file", file, "comment_count")["comment_count"] == 2
    listed = box.call("GET", f"/2.0/files/{file}/comments")
    assert [c["message"] for c in listed["entries"]] == ["better", "thanks"]
    assert bob.ask("GET", f"/2.0/files/{file}/comments").status_code == 404
    assert box.ask("DELETE", f"/2.0/comments/{number}").status_code == 204
    assert box.ask("GET", f"/2.0/comments/{number}").status_code == 404


# Web links


def test_web_link_shares_the_name_space(box: Box) -> None:
    box.upload("/Wiki", b"x")
    parent = {"id": "0"}
    taken = box.ask("POST", "/2.0/web_links", json={"url": "https://example.com/a", "parent": parent, "name": "wiki"})
    assert (taken.status_code, taken.json()["code"]) == (409, "item_name_in_use")
    made = box.ask("POST", "/2.0/web_links", json={"url": "https://example.com/a", "parent": parent, "name": "Link"})
    assert made.status_code == 201
    link = made.json()
    assert "size" not in link
    assert "sha1" not in link
    assert [e["type"] for e in box.entries()] == ["file", "web_link"]
    changed = box.call("PUT", f"/2.0/web_links/{link['id']}", json={"url": "http://other.example", "name": "L2"})
    assert (changed["url"], changed["name"], changed["etag"]) == ("http://other.example", "L2", "1")
    assert box.ask("DELETE", f"/2.0/web_links/{link['id']}").status_code == 204
    assert box.call("GET", f"/2.0/web_links/{link['id']}")["item_status"] == "trashed"
    assert box.ask("POST", f"/2.0/web_links/{link['id']}", json={}).status_code == 201
    assert box.ask("POST", "/2.0/web_links", json={"url": "ftp://x", "parent": parent}).status_code == 400
    assert box.call("POST", "/2.0/web_links", json={"url": "https://example.org/x", "parent": parent})["name"]


# Metadata


def properties(box: Box, kind: str, number: str) -> str:
    return f"/2.0/{kind}s/{number}/metadata/global/properties"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_metadata_create_patch_delete(box: Box, kind: str) -> None:
    number = box.mkdir("/d") if kind == "folder" else str(box.upload("/f", b"x")["id"])
    url, etag = properties(box, kind, number), box.get(kind, number)["etag"]
    assert box.ask("GET", url).json()["code"] == "instance_not_found"
    made = box.ask("POST", url, json={"boxfs.mode": "0644", "a/b": "1"})
    assert (made.status_code, made.json()["$version"], made.json()["$parent"]) == (201, 0, f"{kind}_{number}")
    again = box.ask("POST", url, json={})
    assert (again.status_code, again.json()["code"]) == (409, "tuple_already_exists")
    patch = [
        {"op": "test", "path": "/boxfs.mode", "value": "0644"},
        {"op": "replace", "path": "/boxfs.mode", "value": "0600"},
        {"op": "add", "path": "/boxfs.gid", "value": "1000"},
        {"op": "remove", "path": "/a~1b"},
        {"op": "copy", "from": "/boxfs.gid", "path": "/copy"},
        {"op": "move", "from": "/copy", "path": "/moved"},
    ]
    changed = box.call("PUT", url, json=patch, headers=PATCH)
    assert {k: v for k, v in changed.items() if not k.startswith("$")} == {
        "boxfs.mode": "0600",
        "boxfs.gid": "1000",
        "moved": "1000",
    }
    assert changed["$version"] == 1
    assert box.get(kind, number)["etag"] == etag
    assert [e["$template"] for e in box.call("GET", f"/2.0/{kind}s/{number}/metadata")["entries"]] == ["properties"]
    assert box.ask("DELETE", url).status_code == 204
    assert box.ask("DELETE", url).status_code == 404


def test_metadata_patch_is_all_or_nothing(box: Box) -> None:
    url = properties(box, "file", str(box.upload("/f", b"x")["id"]))
    box.call("POST", url, json={"a": "1"})
    for bad in (
        [{"op": "add", "path": "/b", "value": "2"}, {"op": "test", "path": "/a", "value": "9"}],
        [{"op": "add", "path": "/b", "value": "2"}, {"op": "remove", "path": "/none"}],
        [{"op": "add", "path": "/b", "value": 2}],
        [{"op": "add", "path": "/$version", "value": "9"}],
        {"op": "add"},
    ):
        assert box.ask("PUT", url, json=bad, headers=PATCH).status_code == 400
    assert box.ask("PUT", url, json=[{"op": "add", "path": "/b", "value": "2"}]).status_code == 415
    assert box.call("GET", url)["$version"] == 0
    assert "b" not in box.call("GET", url)


def test_metadata_takes_strings_only_and_not_on_the_root(box: Box) -> None:
    url = properties(box, "file", str(box.upload("/f", b"x")["id"]))
    assert box.ask("POST", url, json={"a": 1}).json()["code"] == "schema_validation_failed"
    root = box.ask("POST", "/2.0/folders/0/metadata/global/properties", json={})
    assert (root.status_code, root.json()["code"]) == (403, "forbidden")


def test_metadata_comes_in_listings(box: Box) -> None:
    box.upload("/plain", b"x")
    box.call("POST", properties(box, "file", str(box.upload("/f", b"x")["id"])), json={"k": "v"})
    box.call("POST", properties(box, "folder", box.mkdir("/d")), json={"k": "w"})
    found = {e["name"]: e["metadata"] for e in box.entries("0", "name,metadata.global.properties")}
    assert found["f"]["global"]["properties"]["k"] == "v"
    assert found["d"]["global"]["properties"]["k"] == "w"
    assert found["plain"] is None
    box.settings(missing_metadata="empty")
    assert box.find("/plain")["id"]
    found = {e["name"]: e["metadata"] for e in box.entries("0", "name,metadata.global.properties")}
    assert found["plain"] == {"global": {}}


def test_metadata_survives_a_new_version_and_goes_with_the_purge(box: Box) -> None:
    number = str(box.upload("/f", b"1")["id"])
    box.call("POST", properties(box, "file", number), json={"k": "v"})
    box.new_version("/f", b"2")
    assert box.call("GET", properties(box, "file", number))["k"] == "v"
    box.delete("/f")
    box.call("DELETE", f"/2.0/files/{number}/trash")
    assert box.ask("GET", properties(box, "file", number)).status_code == 404


# Search, favorites, recent items


def found(box: Box, **query: str) -> list[str]:
    return [e["name"] for e in box.call("GET", "/2.0/search", params=query)["entries"]]


def test_search_by_word_prefix(box: Box, bob: Box) -> None:
    folder = box.mkdir("/Reports 2026")
    box.upload("/Reports 2026/annual report.pdf", b"12345")
    box.upload("/notes.txt", b"1")
    assert sorted(found(box, query="repo")) == ["Reports 2026", "annual report.pdf"]
    assert found(box, query="port") == []
    assert found(box, query='"annual report"') == ["annual report.pdf"]
    assert found(box, query="repo", type="folder") == ["Reports 2026"]
    assert found(box, query="a", ancestor_folder_ids=folder, file_extensions="pdf") == ["annual report.pdf"]
    assert found(box, query="n", size_range="0,2") == ["notes.txt"]
    assert found(bob, query="repo") == []
    assert box.ask("GET", "/2.0/search").json()["context_info"]["errors"][0]["reason"] == "missing_parameter"
    assert box.ask("GET", "/2.0/search?query=a&ancestor_folder_ids=17").status_code == 404
    box.delete("/notes.txt")
    assert found(box, query="notes") == []
    assert found(box, query="notes", trash_content="trashed_only") == ["notes.txt"]


def test_knob_search_lag(box: Box) -> None:
    box.settings(search_lag_s=600.0)
    box.upload("/notes.txt", b"1")
    assert found(box, query="notes") == []
    box.settings(clock_offset_s=601.0)
    assert found(box, query="notes") == ["notes.txt"]


def test_favorites(box: Box, bob: Box) -> None:
    box.upload("/a", b"x")
    collection = box.call("GET", "/2.0/collections")["entries"][0]
    etag = box.file("/a")["etag"]
    changed = box.update("/a", collections=[{"id": collection["id"]}])
    assert changed["etag"] == etag
    assert [e["name"] for e in box.call("GET", f"/2.0/collections/{collection['id']}/items")["entries"]] == ["a"]
    assert bob.call("GET", f"/2.0/collections/{collection['id']}/items")["entries"] == []
    box.update("/a", collections=[])
    assert box.call("GET", f"/2.0/collections/{collection['id']}/items")["entries"] == []


def test_recent_items(box: Box) -> None:
    box.upload("/a", b"1")
    entries = box.call("GET", "/2.0/recent_items")["entries"]
    assert [(e["interaction_type"], e["item"]["name"]) for e in entries] == [("item_upload", "a")]


# Pictures


def picture(width: int, height: int) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(made, "PNG")
    return made.getvalue()


def opened(content: bytes) -> Any:
    with Image.open(io.BytesIO(content)) as image:
        return image.format, image.size, image.getpixel((1, 1))


def test_thumbnails_are_real_pictures(box: Box) -> None:
    file = box.upload("/p.png", picture(400, 200))["id"]
    small = box.ask("GET", f"/2.0/files/{file}/thumbnail.png?min_height=60")
    assert opened(small.content) == ("PNG", (64, 32), (255, 0, 0))
    jpg = box.ask("GET", f"/2.0/files/{file}/thumbnail.jpg?min_width=161")
    assert opened(jpg.content)[:2] == ("JPEG", (320, 160))
    none = box.ask("GET", f"/2.0/files/{file}/thumbnail.png?min_height=999")
    assert (none.status_code, none.json()["code"]) == (400, "requested_preview_unavailable")
    blob = box.upload("/x.bin", b"\0")["id"]
    reply = box.ask("GET", f"/2.0/files/{blob}/thumbnail.png", allow_redirects=False)
    assert reply.status_code == 302
    assert opened(box.ask("GET", reply.headers["Location"]).content)[1] == (32, 32)


def test_knob_thumbnail_is_not_ready_at_first(box: Box) -> None:
    file = box.upload("/p.png", picture(40, 40))["id"]
    box.settings(fresh_content_202=1)
    first, second = (box.ask("GET", f"/2.0/files/{file}/thumbnail.png") for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.headers["Location"]
    assert first.headers["Retry-After"]


def test_representations_follow_the_hints(box: Box) -> None:
    file = box.upload("/note.txt", b"hello\nworld\n")["id"]
    plain = box.get("file", file, "representations")["representations"]["entries"]
    assert all("status" not in entry for entry in plain)
    hints = {"X-Rep-Hints": "[extracted_text][jpg?dimensions=320x320]"}
    entries = box.call("GET", f"/2.0/files/{file}?fields=representations", headers=hints)["representations"]["entries"]
    assert [(e["representation"], e["status"]["state"]) for e in entries] == [
        ("extracted_text", "none"),
        ("jpg", "success"),
    ]
    text, jpg = entries
    assert opened(box.ask("GET", jpg["content"]["url_template"].replace("{+asset_path}", "")).content)[:2] == (
        "JPEG",
        (320, 320),
    )
    states = [box.call("GET", text["info"]["url"])["status"]["state"] for _ in range(2)]
    assert states == ["pending", "success"]
    assert box.ask("GET", text["content"]["url_template"].replace("{+asset_path}", "")).content == b"hello\nworld\n"


# Zips


def test_zip_download(box: Box) -> None:
    folder = box.mkdir("/d")
    box.mkdir("/d/empty")
    box.upload("/d/a.txt", b"inside")
    box.mkdir("/other")
    first, second = box.upload("/x.txt", b"1"), box.upload("/other/X.txt", b"2")
    items = [{"type": "folder", "id": folder}, *({"type": "file", "id": f["id"]} for f in (first, second))]
    asked = box.ask("POST", "/2.0/zip_downloads", json={"items": items, "download_file_name": "all"})
    assert asked.status_code == 202
    reply = asked.json()
    assert [c["original_name"] for c in reply["name_conflicts"][0]] == ["x.txt", "X.txt"]
    assert box.call("GET", reply["status_url"])["state"] == "in_progress"
    content = box.ask("GET", reply["download_url"], headers={"Authorization": ""}).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert {"d/", "d/empty/", "d/a.txt"} <= set(names)
        assert archive.read("d/a.txt") == b"inside"
        assert {archive.read(c["download_name"]) for c in reply["name_conflicts"][0]} == {b"1", b"2"}
    status = box.call("GET", reply["status_url"])
    assert (status["state"], status["downloaded_file_count"], status["total_file_count"]) == ("succeeded", 3, 3)
    assert box.ask("GET", reply["download_url"]).status_code == 404
    root = box.ask("POST", "/2.0/zip_downloads", json={"items": [{"type": "folder", "id": "0"}]})
    assert root.status_code == 400


def test_zip_url_lives_for_seconds(box: Box) -> None:
    file = box.upload("/x", b"1")
    reply = box.call("POST", "/2.0/zip_downloads", json={"items": [{"type": "file", "id": file["id"]}]})
    box.settings(clock_offset_s=60.0)
    assert box.ask("GET", reply["download_url"]).status_code == 404
