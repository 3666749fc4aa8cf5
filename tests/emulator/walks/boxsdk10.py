"""The official SDK, version 10 (module box_sdk_gen), through all areas: a program of its own, run by test_sdk.py.

Arguments: the emulator's URL, its console configuration as JSON.  Unmodified but for base URLs.
"""

# mypy: ignore-errors
# ruff: noqa: PT017
from __future__ import annotations

import io
import json
import sys
import time

import box_sdk_gen as sdk


def walk(url: str, config: dict) -> None:
    urls = sdk.BaseUrls(base_url=url, upload_url=f"{url}/api", oauth_2_url=f"{url}/oauth2")
    network = sdk.NetworkSession(base_urls=urls)
    ada = sdk.BoxClient(auth=sdk.BoxDeveloperTokenAuth(token="dev-token"), network_session=network)
    bob = sdk.BoxClient(auth=sdk.BoxDeveloperTokenAuth(token="bob-token"), network_session=network)
    for area in (auth, files, chunks, events, trash, sharing, extras, metadata, groups_and_users):
        print(area.__name__, flush=True)
        area(ada, bob, network, config)


def new_file(client, name: str, content: bytes = b"hello", parent: str = "0"):
    where = sdk.UploadFileAttributesParentField(id=parent)
    return client.uploads.upload_file(sdk.UploadFileAttributes(name=name, parent=where), io.BytesIO(content)).entries[0]


def new_folder(client, name: str, parent: str = "0"):
    return client.folders.create_folder(name, sdk.CreateFolderParent(id=parent))


def auth(ada, bob, network, config) -> None:
    app = config["boxAppSettings"]
    keys = sdk.JWTConfig(
        client_id=app["clientID"],
        client_secret=app["clientSecret"],
        jwt_key_id=app["appAuth"]["publicKeyID"],
        private_key=app["appAuth"]["privateKey"],
        private_key_passphrase=app["appAuth"]["passphrase"],
        enterprise_id=config["enterpriseID"],
    )
    by_jwt = sdk.BoxJWTAuth(config=keys)
    service = sdk.BoxClient(auth=by_jwt, network_session=network)
    assert service.users.get_user_me().login.startswith("AutomationUser_")
    me = ada.users.get_user_me()
    user = sdk.BoxClient(auth=by_jwt.with_user_subject(me.id), network_session=network)
    assert user.users.get_user_me().login == me.login
    credentials = sdk.CCGConfig(
        client_id=app["clientID"], client_secret=app["clientSecret"], enterprise_id=config["enterpriseID"]
    )
    by_credentials = sdk.BoxClient(auth=sdk.BoxCCGAuth(config=credentials), network_session=network)
    assert by_credentials.users.get_user_me().id == service.users.get_user_me().id
    file = new_file(ada, "narrow.txt")
    resource = f"https://api.box.com/2.0/files/{file.id}"
    token = sdk.BoxDeveloperTokenAuth(token="dev-token").downscope_token(
        ["item_rename", "item_preview"], resource=resource, network_session=network
    )
    narrow = sdk.BoxClient(auth=sdk.BoxDeveloperTokenAuth(token=token.access_token), network_session=network)
    assert narrow.files.update_file_by_id(file.id, name="renamed.txt").name == "renamed.txt"
    refused(lambda: narrow.files.delete_file_by_id(file.id), 403)
    assert ada.with_as_user_header(bob.users.get_user_me().id).users.get_user_me().login == "bob@example.com"
    by_jwt.revoke_token(network_session=network)
    ada.files.delete_file_by_id(file.id)


def refused(call, status: int) -> None:
    try:
        call()
    except sdk.BoxAPIError as error:
        assert error.response_info.status_code == status, error
        return
    raise AssertionError(f"was not refused with {status}")


def files(ada, bob, network, config) -> None:
    folder = new_folder(ada, "Files")
    free = ada.uploads.preflight_file_upload_check(
        name="a.txt", size=5, parent=sdk.PreflightFileUploadCheckParent(id=folder.id)
    )
    assert free.upload_url
    file = new_file(ada, "a.txt", parent=folder.id)
    refused(lambda: new_file(ada, "A.TXT", parent=folder.id), 409)
    assert ada.downloads.download_file(file.id).read() == b"hello"
    second = ada.uploads.upload_file_version(
        file.id, sdk.UploadFileVersionAttributes(name="a.txt"), io.BytesIO(b"second"), if_match=file.etag
    ).entries[0]
    assert (second.id, second.size) == (file.id, 6)
    old = ada.file_versions.get_file_versions(file.id).entries[0]
    promoted = ada.file_versions.promote_file_version(file.id, id=old.id, type=sdk.PromoteFileVersionType.FILE_VERSION)
    assert promoted.size == 5
    copy = ada.files.copy_file(file.id, sdk.CopyFileParent(id="0"), name="copy.txt")
    moved = ada.files.update_file_by_id(copy.id, name="moved.txt", parent=sdk.UpdateFileByIdParent(id=folder.id))
    assert moved.parent.id == folder.id
    lock = sdk.UpdateFileByIdLock(access="lock", is_download_prevented=False)
    assert ada.files.update_file_by_id(file.id, lock=lock, fields=["lock"]).lock.created_by.login == "ada@example.com"
    ada.files.update_file_by_id(file.id, lock=sdk.create_null(), fields=["lock"])
    listed = ada.folders.get_folder_items(folder.id, fields=["name", "size"], limit=10)
    assert [entry.name for entry in listed.entries] == ["a.txt", "moved.txt"]
    assert ada.folders.get_folder_by_id("0").name == "All Files"
    frozen = ada.folder_locks.create_folder_lock(
        sdk.CreateFolderLockFolder(id=folder.id, type="folder"),
        locked_operations=sdk.CreateFolderLockLockedOperations(move=True, delete=True),
    )
    refused(lambda: ada.folders.delete_folder_by_id(folder.id, recursive=True), 403)
    ada.folder_locks.delete_folder_lock_by_id(frozen.id)


def chunks(ada, bob, network, config) -> None:
    content = bytes(range(256)) * 90_000  # 23 MB: three parts
    big = ada.chunked_uploads.upload_big_file(io.BytesIO(content), "big.bin", len(content), "0")
    assert big.size == len(content)
    assert ada.downloads.download_file(big.id, range="bytes=1000-1255").read() == content[1000:1256]
    ada.files.delete_file_by_id(big.id)


def events(ada, bob, network, config) -> None:
    now = ada.events.get_events(stream_position="now").next_stream_position
    folder = new_folder(ada, "Told")
    deadline = time.monotonic() + 60
    while not (found := ada.events.get_events(stream_position=str(now)).entries):
        assert time.monotonic() < deadline
    assert found[0].source.id == folder.id
    assert ada.events.get_events_with_long_polling().entries[0].url


def trash(ada, bob, network, config) -> None:
    file, folder = new_file(ada, "gone.txt"), new_folder(ada, "Gone")
    ada.files.delete_file_by_id(file.id)
    ada.folders.delete_folder_by_id(folder.id)
    assert ada.files.get_file_by_id(file.id).item_status == "trashed"
    refused(lambda: ada.folders.get_folder_by_id(folder.id), 404)
    assert {"gone.txt", "Gone"} <= {entry.name for entry in ada.trashed_items.get_trashed_items().entries}
    assert ada.trashed_files.get_trashed_file_by_id(file.id).trashed_at
    assert ada.trashed_files.restore_file_from_trash(file.id, name="back.txt").name == "back.txt"
    ada.trashed_folders.delete_trashed_folder_by_id(folder.id)
    refused(lambda: ada.trashed_folders.get_trashed_folder_by_id(folder.id), 404)


def sharing(ada, bob, network, config) -> None:
    folder = new_folder(ada, "Shared")
    file = new_file(ada, "s.txt", parent=folder.id)
    bobs_id = bob.users.get_user_me().id
    made = ada.user_collaborations.create_collaboration(
        sdk.CreateCollaborationItem(type=sdk.CreateCollaborationItemTypeField.FOLDER, id=folder.id),
        sdk.CreateCollaborationAccessibleBy(type=sdk.CreateCollaborationAccessibleByTypeField.USER, id=bobs_id),
        sdk.CreateCollaborationRole.EDITOR,
    )
    assert bob.folders.get_folder_by_id(folder.id).name == "Shared"
    assert ada.user_collaborations.get_collaboration_by_id(made.id).role == "editor"
    viewer = sdk.UpdateCollaborationByIdRole.VIEWER
    assert ada.user_collaborations.update_collaboration_by_id(made.id, role=viewer).role == "viewer"
    assert len(ada.list_collaborations.get_folder_collaborations(folder.id).entries) == 1
    refused(lambda: bob.files.delete_file_by_id(file.id), 403)
    ada.list_collaborations.get_collaborations(sdk.GetCollaborationsStatus.PENDING)
    ada.user_collaborations.delete_collaboration_by_id(made.id)
    refused(lambda: bob.folders.get_folder_by_id(folder.id), 404)
    link = sdk.AddShareLinkToFileSharedLink(access=sdk.AddShareLinkToFileSharedLinkAccessField.OPEN, password="pw")
    url = ada.shared_links_files.add_share_link_to_file(file.id, "shared_link", shared_link=link).shared_link.url
    header = f"shared_link={url}&shared_link_password=pw"
    assert bob.shared_links_files.find_file_for_shared_link(header).id == file.id
    refused(lambda: bob.shared_links_files.find_file_for_shared_link(f"shared_link={url}"), 403)
    nothing = sdk.create_null()
    ada.shared_links_files.remove_shared_link_from_file(file.id, "shared_link", shared_link=nothing)
    assert ada.shared_links_files.get_shared_link_for_file(file.id, "shared_link").shared_link is None


def extras(ada, bob, network, config) -> None:
    file = new_file(ada, "extra notes.txt", b"hello\n")
    on_file = sdk.CreateCommentItem(id=file.id, type=sdk.CreateCommentItemTypeField.FILE)
    comment = ada.comments.create_comment("hi", on_file)
    assert ada.comments.update_comment_by_id(comment.id, message="ho").message == "ho"
    assert ada.comments.get_file_comments(file.id).total_count == 1
    ada.comments.delete_comment_by_id(comment.id)
    link = ada.web_links.create_web_link("https://example.com", sdk.CreateWebLinkParent(id="0"), name="link")
    ada.web_links.delete_web_link_by_id(link.id)
    assert ada.web_links.get_web_link_by_id(link.id).item_status == "trashed"
    ada.trashed_web_links.restore_weblink_from_trash(link.id)
    assert ada.search.search_for_content(query="extra", ancestor_folder_ids=["0"]).total_count == 1
    favorites = ada.collections.get_collections().entries[0]
    ada.files.update_file_by_id(file.id, collections=[sdk.UpdateFileByIdCollections(id=favorites.id)])
    assert ada.collections.get_collection_items(favorites.id).entries[0].id == file.id
    assert ada.recent_items.get_recent_items().entries
    items = [sdk.CreateZipDownloadItems(id=file.id, type=sdk.CreateZipDownloadItemsTypeField.FILE)]
    zipped = ada.zip_downloads.create_zip_download(items, download_file_name="all")
    assert ada.zip_downloads.get_zip_download_content(zipped.download_url).read()[:2] == b"PK"
    assert ada.zip_downloads.get_zip_download_status(zipped.status_url).state == "succeeded"
    png = ada.files.get_file_thumbnail_by_id(file.id, sdk.GetFileThumbnailByIdExtension.PNG).read()
    assert png.startswith(b"\x89PNG")
    hints = "[jpg?dimensions=320x320][extracted_text]"
    shown = ada.files.get_file_by_id(file.id, fields=["representations"], x_rep_hints=hints)
    assert len(shown.representations.entries) == 2


def metadata(ada, bob, network, config) -> None:
    file, name = new_file(ada, "meta.txt"), "properties"
    manager = ada.file_metadata
    manager.create_file_metadata_by_id(file.id, sdk.CreateFileMetadataByIdScope.GLOBAL, name, {"abc": "xyz"})
    scope = sdk.GetFileMetadataByIdScope.GLOBAL
    assert manager.get_file_metadata_by_id(file.id, scope, name).extra_data == {"abc": "xyz"}
    replace = sdk.UpdateFileMetadataByIdRequestBody(
        op=sdk.UpdateFileMetadataByIdRequestBodyOpField.REPLACE, path="/abc", value="new"
    )
    scope = sdk.UpdateFileMetadataByIdScope.GLOBAL
    assert manager.update_file_metadata_by_id(file.id, scope, name, [replace]).extra_data == {"abc": "new"}
    assert len(manager.get_file_metadata(file.id).entries) == 1
    manager.delete_file_metadata_by_id(file.id, sdk.DeleteFileMetadataByIdScope.GLOBAL, name)


def groups_and_users(ada, bob, network, config) -> None:
    group = ada.groups.create_group("Team")
    bobs_id = bob.users.get_user_me().id
    joined = ada.memberships.create_group_membership(
        sdk.CreateGroupMembershipUser(id=bobs_id), sdk.CreateGroupMembershipGroup(id=group.id)
    )
    assert ada.memberships.get_group_memberships(group.id).total_count == 1
    ada.memberships.delete_group_membership_by_id(joined.id)
    ada.groups.delete_group_by_id(group.id)
    user = ada.users.create_user("New", login="new@example.com")
    assert ada.users.update_user_by_id(user.id, name="Newer").name == "Newer"
    assert user.id in [each.id for each in ada.users.get_users().entries]
    ada.transfer.transfer_owned_folder(user.id, sdk.TransferOwnedFolderOwnedBy(id=ada.users.get_user_me().id))
    ada.users.delete_user_by_id(user.id, force=True)


if __name__ == "__main__":
    walk(sys.argv[1], json.loads(sys.argv[2]))
    print("walked to the end")
