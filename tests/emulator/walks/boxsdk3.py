"""The official SDK, version 3.14 (module boxsdk), through all areas: a program of its own, run by test_sdk.py.

Arguments: the emulator's URL, its console configuration as JSON.  Unmodified but for base URLs.
"""

# mypy: ignore-errors
# ruff: noqa: PT017
from __future__ import annotations

import io
import json
import sys
import warnings

import boxsdk
from boxsdk.config import API


def client_of(token: str):
    return boxsdk.Client(boxsdk.OAuth2(client_id="", client_secret="", access_token=token))


def walk(url: str, config: dict) -> None:
    warnings.simplefilter("ignore")  # it announces its own end
    API.BASE_API_URL, API.UPLOAD_URL = f"{url}/2.0", f"{url}/api/2.0"
    API.OAUTH2_API_URL, API.OAUTH2_AUTHORIZE_URL = f"{url}/oauth2", f"{url}/oauth2/authorize"
    ada, bob = client_of("dev-token"), client_of("bob-token")
    for area in (auth, files, chunks, events, trash, sharing, extras, metadata, groups_and_users):
        print(area.__name__, flush=True)
        area(ada, bob, config)


def refused(call, status: int) -> None:
    try:
        call()
    except boxsdk.BoxAPIException as error:
        assert error.status == status, error
        return
    raise AssertionError(f"was not refused with {status}")


def new_file(client, name: str, content: bytes = b"hello", parent: str = "0"):
    return client.folder(parent).upload_stream(io.BytesIO(content), name)


def auth(ada, bob, config) -> None:
    by_jwt = boxsdk.JWTAuth.from_settings_dictionary(config)
    service = boxsdk.Client(by_jwt)
    login = service.user().get().login
    assert login.startswith("AutomationUser_")
    app = config["boxAppSettings"]
    by_credentials = boxsdk.CCGAuth(
        client_id=app["clientID"], client_secret=app["clientSecret"], enterprise_id=config["enterpriseID"]
    )
    assert boxsdk.Client(by_credentials).user().get().login == login
    user = service.create_user("Robot")
    robot = boxsdk.Client(boxsdk.JWTAuth.from_settings_dictionary(config, user=user))
    assert robot.user().get().login == user.login
    assert service.as_user(user).user().get().name == "Robot"
    user.delete(force=True)
    file = new_file(ada, "narrow.txt")
    token = ada.downscope_token(["item_rename", "item_preview"], file).access_token
    narrow = client_of(token)
    assert narrow.file(file.id).rename("renamed.txt").name == "renamed.txt"
    refused(lambda: narrow.file(file.id).delete(), 403)
    file.delete()


def files(ada, bob, config) -> None:
    folder = ada.folder("0").create_subfolder("Files")
    ada.folder(folder.id).preflight_check(size=5, name="a.txt")
    file = new_file(ada, "a.txt", parent=folder.id)
    refused(lambda: new_file(ada, "A.TXT", parent=folder.id), 409)
    assert file.content() == b"hello"
    assert file.content(byte_range=(1, 3)) == b"ell"
    assert file.update_contents_with_stream(io.BytesIO(b"second"), etag=file.etag).size == 6
    refused(lambda: file.update_contents_with_stream(io.BytesIO(b"third"), etag=file.etag), 412)
    old = next(iter(file.get_previous_versions()))
    file.promote_version(old)
    assert file.content() == b"hello"
    copy = file.copy(parent_folder=ada.folder("0"), name="copy.txt")
    copy.move(parent_folder=folder, name="moved.txt")
    assert [item.name for item in folder.get_items()] == ["a.txt", "moved.txt"]
    file.lock()
    file.unlock()
    assert ada.root_folder().get().name == "All Files"


def chunks(ada, bob, config) -> None:
    content = bytes(range(256)) * 90_000
    uploader = (
        ada.folder("0")
        .create_upload_session(len(content), "big.bin")
        .get_chunked_uploader_for_stream(io.BytesIO(content), len(content))
    )
    big = uploader.start()
    assert big.get().size == len(content)
    big.delete()


def events(ada, bob, config) -> None:
    stream = ada.events()
    position = stream.get_latest_stream_position()
    folder = ada.folder("0").create_subfolder("Told")
    found = stream.get_events(stream_position=position)
    assert found["entries"][0].source.id == folder.id
    assert stream.get_long_poll_options()["url"]


def trash(ada, bob, config) -> None:
    file, folder = new_file(ada, "gone.txt"), ada.folder("0").create_subfolder("Gone")
    file.delete()
    folder.delete()
    assert {"gone.txt", "Gone"} <= {item.name for item in ada.trash().get_items()}
    assert ada.trash().restore_item(ada.file(file.id), name="back.txt").name == "back.txt"
    ada.trash().permanently_delete_item(ada.folder(folder.id))
    refused(lambda: ada.folder(folder.id).get(), 404)


def sharing(ada, bob, config) -> None:
    folder = ada.folder("0").create_subfolder("Shared")
    file = new_file(ada, "s.txt", parent=folder.id)
    made = folder.collaborate_with_login("bob@example.com", "editor")
    assert bob.folder(folder.id).get().name == "Shared"
    assert made.update_info(role="viewer").role == "viewer"
    assert len(list(folder.get_collaborations())) == 1
    refused(lambda: bob.file(file.id).delete(), 403)
    list(ada.get_pending_collaborations())
    made.delete()
    refused(lambda: bob.folder(folder.id).get(), 404)
    url = file.get_shared_link(access="open", password="pw")
    assert bob.get_shared_item(url, "pw").name == "s.txt"
    refused(lambda: bob.get_shared_item(url), 403)
    file.remove_shared_link()


def extras(ada, bob, config) -> None:
    file = new_file(ada, "extra notes.txt", b"hello\n")
    assert file.add_comment("hi").edit("ho").message == "ho"
    assert len(list(file.get_comments())) == 1
    link = ada.folder("0").create_web_link("https://example.com", "link")
    link.delete()
    assert [item.name for item in ada.search().query("extra", limit=10)] == ["extra notes.txt"]
    favorites = next(iter(ada.collections()))
    file.add_to_collection(favorites)
    assert [item.id for item in favorites.get_items()] == [file.id]
    assert list(ada.get_recent_items())
    out = io.BytesIO()
    assert ada.download_zip("all", [file], out)["state"] == "succeeded"
    assert out.getvalue().startswith(b"PK")
    assert file.get_thumbnail(extension="png", min_width=32).startswith(b"\x89PNG")
    assert len(file.get_representation_info("[jpg?dimensions=320x320][extracted_text]")) == 2


def metadata(ada, bob, config) -> None:
    instance = new_file(ada, "meta.txt").metadata("global", "properties")
    assert instance.create({"a": "b"})["a"] == "b"
    update = instance.start_update()
    update.test("/a", "b")
    update.update("/a", "c", "b")
    update.add("/n", "1")
    assert instance.update(update)["a"] == "c"
    assert instance.get()["n"] == "1"
    assert instance.delete()


def groups_and_users(ada, bob, config) -> None:
    group = ada.create_group("Team")
    joined = group.add_member(ada.user(bob.user().get().id))
    assert len(list(group.get_memberships())) == 1
    joined.delete()
    group.delete()
    assert "bob@example.com" in [user.login for user in ada.users()]


if __name__ == "__main__":
    walk(sys.argv[1], json.loads(sys.argv[2]))
    print("walked to the end")
