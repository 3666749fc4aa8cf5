"""boxsdk 3.14 (package boxsdk) through all areas of an emulator: walk3.py URL TOKEN OTHER_TOKEN CONFIG.

Unmodified but for its base URLs.  An assertion or an exception of the SDK ends it with status 1.
"""

# mypy: ignore-errors
# ruff: noqa: PT017
from __future__ import annotations

import hashlib
import io
import json
import sys
import threading
from pathlib import Path

from boxsdk import CCGAuth, Client, JWTAuth, OAuth2
from boxsdk.config import API
from boxsdk.exception import BoxAPIException
from boxsdk.object.collaboration import CollaborationRole

URL, TOKEN, OTHER, CONFIG = sys.argv[1:5]
API.BASE_API_URL = f"{URL}/2.0"
API.UPLOAD_URL = f"{URL}/api/2.0"
API.OAUTH2_API_URL = f"{URL}/oauth2"
API.OAUTH2_AUTHORIZE_URL = f"{URL}/api/oauth2/authorize"


def client(token: str) -> Client:
    return Client(OAuth2(client_id="", client_secret="", access_token=token))


def walk_folders(c: Client):
    top = c.folder("0").create_subfolder("top")
    try:
        c.folder("0").create_subfolder("Top")
    except BoxAPIException as error:
        assert (error.status, error.code) == (409, "item_name_in_use")
    else:
        raise AssertionError("no conflict")
    sub = top.create_subfolder("sub")
    sub.upload_stream(io.BytesIO(b"x"), "in sub")
    copy = sub.copy(parent_folder=top, name="copy")
    renamed = copy.rename("renamed")
    assert renamed.etag == "1"
    copy.move(sub)
    assert [item.name for item in top.get_items(use_marker=True)] == ["sub"]
    assert [item.name for item in sub.get_items(limit=1)] == ["renamed", "in sub"]
    lock = copy.create_lock()
    assert [each.id for each in copy.get_locks()] == [lock.id]
    lock.delete()
    copy.delete()
    assert c.trash().get_item(copy).item_status == "trashed"
    c.trash().restore_item(copy, name="back")
    copy.delete()
    c.trash().permanently_delete_item(copy)
    return top


def walk_files(c: Client, folder):
    folder.preflight_check(size=3, name="a.txt")
    file = folder.upload_stream(io.BytesIO(b"one"), "a.txt", content_modified_at="2026-03-02T08:59:58-08:00")
    assert file.sha1 == hashlib.sha1(b"one").hexdigest()
    assert file.content_modified_at == "2026-03-02T08:59:58-08:00"
    assert file.update_contents_with_stream(io.BytesIO(b"three"), etag="0").etag == "1"
    assert file.content() == b"three"
    assert file.content(byte_range=(1, 2)) == b"hr"
    (old,) = file.get_previous_versions()
    assert file.promote_version(old).id != old.id
    file.delete_version(old)
    file.lock()
    assert file.get(fields=["lock"]).response_object["lock"]["type"] == "lock"
    file.unlock()
    assert file.rename("b.txt").name == "b.txt"
    assert file.move(c.folder("0")).parent.id == "0"
    copy = file.copy(parent_folder=folder, name="copy.txt")
    assert copy.id != file.id
    file.delete()
    assert file.get().item_status == "trashed"
    assert file.id in [item.id for item in c.trash().get_items()]
    c.trash().restore_item(file)
    full = file.get(fields=["permissions", "version_number", "path_collection"])
    assert full.permissions["can_delete"]
    assert full.version_number == "3"
    return file


def walk_big_file(c: Client, folder) -> None:
    content = bytes(range(256)) * 80_000  # 20,480,000 bytes
    path = Path("big.bin")
    path.write_bytes(content)
    big = folder.get_chunked_uploader(str(path)).start()
    assert big.sha1 == hashlib.sha1(content).hexdigest()
    again = big.get_chunked_uploader(str(path)).start()
    assert again.etag == "1"
    assert big.content() == content


def walk_sharing(c: Client, other: Client, file, folder) -> None:
    url = file.get_shared_link(access="open", password="secret")
    assert other.get_shared_item(url, password="secret").id == file.id
    file.remove_shared_link()
    made = folder.collaborate_with_login("bob@example.com", CollaborationRole.EDITOR)
    assert folder.id in [item.id for item in other.folder("0").get_items()]
    assert made.update_info(role=CollaborationRole.VIEWER).role == "viewer"
    assert [each.id for each in folder.get_collaborations()] == [made.id]
    made.delete()
    comment = file.add_comment("well")
    assert [each.message for each in file.get_comments()] == ["well"]
    comment.edit("well done")
    comment.delete()
    web = folder.create_web_link("https://example.com/", name="wiki")
    assert web.get().url == "https://example.com/"
    web.delete()


def walk_metadata_and_search(c: Client, file, folder) -> None:
    metadata = file.metadata()
    assert metadata.create({"a": "1"})["a"] == "1"
    update = metadata.start_update()
    update.test("/a", "1")
    update.update("/a", "2")
    assert metadata.update(update)["a"] == "2"
    assert file.metadata().get()["a"] == "2"
    assert metadata.delete()
    assert "copy.txt" in [item.name for item in c.search().query("copy")]
    target = io.BytesIO()
    status = c.download_zip("all", [folder], target)
    assert target.getvalue()[:2] == b"PK"
    assert status["state"] in ("succeeded", "in_progress")
    (favorites, *_) = c.collections()
    file.add_to_collection(favorites)
    assert [item.id for item in favorites.get_items()] == [file.id]


def walk_events(c: Client, folder) -> None:
    position = c.events().get_latest_stream_position()
    folder.upload_stream(io.BytesIO(b""), "event")
    (event, *_) = c.events().get_events(stream_position=position)["entries"]
    assert event["event_type"] == "ITEM_UPLOAD"
    stream = c.events().generate_events_with_long_polling(stream_position=position)
    found = []
    thread = threading.Thread(target=lambda: found.extend([next(stream), next(stream)]), daemon=True)
    thread.start()
    number = 0
    while thread.is_alive():
        folder.upload_stream(io.BytesIO(b""), f"event {number}")
        number += 1
        thread.join(0.2)
    assert [event["event_type"] for event in found] == ["ITEM_UPLOAD"] * 2


def walk_auth() -> None:
    config = json.loads(Path(CONFIG).read_text())
    by_jwt = Client(JWTAuth.from_settings_dictionary(config))
    me = by_jwt.user().get()
    assert me.login.startswith("AutomationUser_")
    settings = config["boxAppSettings"]
    ccg = CCGAuth(settings["clientID"], settings["clientSecret"], enterprise_id=config["enterpriseID"])
    assert Client(ccg).user().get().login == me.login
    user = by_jwt.create_user("App user")
    assert by_jwt.as_user(user).user().get().name == "App user"
    user.delete()
    assert by_jwt.downscope_token(["item_preview"]).access_token


def main() -> None:
    c, other = client(TOKEN), client(OTHER)
    assert c.user().get().login == "ada@example.com"
    folder = walk_folders(c)
    file = walk_files(c, folder)
    walk_big_file(c, folder)
    walk_sharing(c, other, file, folder)
    walk_metadata_and_search(c, file, folder)
    walk_events(c, folder)
    walk_auth()
    print("walked")


main()
