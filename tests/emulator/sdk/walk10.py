"""boxsdk 10 (package box_sdk_gen) through all areas of an emulator: walk10.py URL TOKEN OTHER_TOKEN CONFIG.

Unmodified but for its base URLs.  An assertion or an exception of the SDK ends it with status 1.
"""

# mypy: ignore-errors
# ruff: noqa: PT017
from __future__ import annotations

import hashlib
import io
import sys
import threading
from pathlib import Path

import box_sdk_gen as box
from box_sdk_gen.networking import BaseUrls, NetworkSession

URL, TOKEN, OTHER, CONFIG = sys.argv[1:5]


def session() -> NetworkSession:
    return NetworkSession(base_urls=BaseUrls(base_url=URL, upload_url=f"{URL}/api", oauth_2_url=f"{URL}/api/oauth2"))


def client(auth) -> box.BoxClient:
    return box.BoxClient(auth=auth, network_session=session())


def parent(number: str):
    return box.managers.uploads.UploadFileAttributesParentField(id=number)


def upload(c, name: str, content: bytes, folder: str):
    attributes = box.managers.uploads.UploadFileAttributes(name=name, parent=parent(folder))
    return c.uploads.upload_file(attributes, io.BytesIO(content)).entries[0]


def walk_folders(c) -> str:
    top = c.folders.create_folder("top", box.managers.folders.CreateFolderParent(id="0"))
    assert top.path_collection.entries[0].id == "0"
    try:
        c.folders.create_folder("TOP", box.managers.folders.CreateFolderParent(id="0"))
    except box.BoxAPIError as error:
        assert error.response_info.code == "item_name_in_use"
        assert error.response_info.context_info["conflicts"][0]["id"] == top.id
    else:
        raise AssertionError("no conflict")
    sub = c.folders.create_folder("sub", box.managers.folders.CreateFolderParent(id=top.id))
    upload(c, "in sub", b"x", sub.id)
    copy = c.folders.copy_folder(sub.id, box.managers.folders.CopyFolderParent(id=top.id), name="copy")
    assert copy.size == 1
    renamed = c.folders.update_folder_by_id(copy.id, name="renamed", description="copied", tags=["t"])
    assert (renamed.name, renamed.etag) == ("renamed", "1")
    c.folders.update_folder_by_id(copy.id, parent=box.managers.folders.UpdateFolderByIdParent(id=sub.id))
    entries = c.folders.get_folder_items(top.id, usemarker=True, limit=1000).entries
    assert [entry.name for entry in entries] == ["sub"]
    c.folders.delete_folder_by_id(copy.id, recursive=True)
    assert c.trashed_folders.get_trashed_folder_by_id(copy.id).item_status == "trashed"
    c.trashed_folders.restore_folder_from_trash(copy.id, name="back")
    lock = c.folder_locks.create_folder_lock(
        box.managers.folder_locks.CreateFolderLockFolder(type="folder", id=copy.id),
        locked_operations=box.managers.folder_locks.CreateFolderLockLockedOperations(move=True, delete=True),
    )
    assert c.folder_locks.get_folder_locks(copy.id).entries[0].id == lock.id
    c.folder_locks.delete_folder_lock_by_id(lock.id)
    c.folders.delete_folder_by_id(copy.id, recursive=True)
    c.trashed_folders.delete_trashed_folder_by_id(copy.id)
    return top.id


def walk_files(c, folder: str) -> str:
    files = box.managers.files
    c.uploads.preflight_file_upload_check(
        name="a.txt", size=3, parent=box.managers.uploads.PreflightFileUploadCheckParent(id=folder)
    )
    file = upload(c, "a.txt", b"one", folder)
    assert file.sha_1 == hashlib.sha1(b"one").hexdigest()
    version = c.uploads.upload_file_version(
        file.id, box.managers.uploads.UploadFileVersionAttributes(name="a.txt"), io.BytesIO(b"three"), if_match="0"
    ).entries[0]
    assert version.size == 5
    assert c.downloads.download_file(file.id).read() == b"three"
    assert c.downloads.download_file(file.id, range="bytes=1-2").read() == b"hr"
    assert c.downloads.get_download_file_url(file.id).startswith("http")
    (old,) = c.file_versions.get_file_versions(file.id).entries
    promoted = c.file_versions.promote_file_version(file.id, id=old.id, type="file_version")
    assert promoted.id != old.id
    c.file_versions.delete_file_version_by_id(file.id, old.id)
    assert c.file_versions.update_file_version_by_id(file.id, old.id, trashed_at=box.null).trashed_at is None
    lock = files.UpdateFileByIdLock(
        access="lock", expires_at=box.internal.utils.date_time_from_string("2035-01-01T00:00:00Z")
    )
    locked = c.files.update_file_by_id(file.id, lock=lock, fields=["lock"])
    assert locked.lock.type == "lock"
    c.files.update_file_by_id(file.id, lock=box.null, fields=["lock"])
    moved = c.files.update_file_by_id(file.id, name="b.txt", parent=files.UpdateFileByIdParent(id="0"))
    assert moved.parent.id == "0"
    copy = c.files.copy_file(file.id, files.CopyFileParent(id=folder), name="copy.txt")
    assert copy.id != file.id
    c.files.delete_file_by_id(file.id)
    assert c.files.get_file_by_id(file.id).item_status == "trashed"
    assert file.id in [entry.id for entry in c.trashed_items.get_trashed_items().entries]
    c.trashed_files.restore_file_from_trash(file.id)
    full = c.files.get_file_by_id(file.id, fields=["permissions", "version_number", "path_collection", "tags"])
    assert full.permissions.can_delete
    assert full.version_number == "3"
    return file.id


def walk_big_file(c, folder: str) -> None:
    content = bytes(range(256)) * 80_000  # 20,480,000 bytes
    big = c.chunked_uploads.upload_big_file(io.BytesIO(content), "big.bin", len(content), folder)
    assert big.sha_1 == hashlib.sha1(content).hexdigest()
    assert c.downloads.download_file(big.id).read() == content


def walk_sharing(c, other, file: str, folder: str) -> None:
    links = box.managers.shared_links_files
    shared = c.shared_links_files.add_share_link_to_file(
        file, "shared_link", shared_link=links.AddShareLinkToFileSharedLink(access="open", password="secret")
    )
    header = f"shared_link={shared.shared_link.url}&shared_link_password=secret"
    assert other.shared_links_files.find_file_for_shared_link(header).id == file
    c.shared_links_files.remove_shared_link_from_file(file, "shared_link", shared_link=box.null)
    collaborations = box.managers.user_collaborations
    made = c.user_collaborations.create_collaboration(
        collaborations.CreateCollaborationItem(type="folder", id=folder),
        collaborations.CreateCollaborationAccessibleBy(type="user", login="bob@example.com"),
        "editor",
    )
    assert folder in [entry.id for entry in other.folders.get_folder_items("0").entries]
    assert c.user_collaborations.update_collaboration_by_id(made.id, role="viewer").role == "viewer"
    assert c.list_collaborations.get_folder_collaborations(folder).entries[0].id == made.id
    c.user_collaborations.delete_collaboration_by_id(made.id)
    comments = box.managers.comments
    comment = c.comments.create_comment("well", comments.CreateCommentItem(id=file, type="file"))
    assert c.comments.get_file_comments(file).total_count == 1
    c.comments.update_comment_by_id(comment.id, message="well done")
    c.comments.delete_comment_by_id(comment.id)
    web = c.web_links.create_web_link(
        "https://example.com/", box.managers.web_links.CreateWebLinkParent(id=folder), name="wiki"
    )
    assert c.web_links.get_web_link_by_id(web.id).url == "https://example.com/"
    c.web_links.delete_web_link_by_id(web.id)


def walk_metadata_and_search(c, file: str, folder: str) -> None:
    metadata = box.managers.file_metadata
    made = c.file_metadata.create_file_metadata_by_id(file, "global", "properties", {"a": "1"})
    assert made.extra_data["a"] == "1"
    operation = metadata.UpdateFileMetadataByIdRequestBody(op="replace", path="/a", value="2")
    c.file_metadata.update_file_metadata_by_id(file, "global", "properties", [operation])
    assert c.file_metadata.get_file_metadata_by_id(file, "global", "properties").extra_data["a"] == "2"
    c.file_metadata.delete_file_metadata_by_id(file, "global", "properties")
    assert c.search.search_for_content(query="copy").total_count >= 1
    items = [box.managers.zip_downloads.DownloadZipItems(type="folder", id=folder)]
    assert c.zip_downloads.download_zip(items).read()[:2] == b"PK"
    (favorites, *_) = c.collections.get_collections().entries
    c.files.update_file_by_id(file, collections=[box.managers.files.UpdateFileByIdCollections(id=favorites.id)])
    assert c.collections.get_collection_items(favorites.id).entries[0].id == file


def walk_events(c, folder: str) -> None:
    now = c.events.get_events(stream_position="now")
    position = str(now.next_stream_position)
    upload(c, "event", b"", folder)
    (event, *_) = c.events.get_events(stream_position=position, stream_type="changes").entries
    assert event.event_type == "ITEM_UPLOAD"
    stream = iter(c.events.get_event_stream())
    found = []
    thread = threading.Thread(target=lambda: found.append(next(stream)), daemon=True)
    thread.start()
    number = 0
    while thread.is_alive():  # the stream begins at some moment; something happens until it tells
        upload(c, f"event {number}", b"", folder)
        number += 1
        thread.join(0.2)
    assert found[0].event_type == "ITEM_UPLOAD"


def walk_auth() -> None:
    config = box.JWTConfig.from_config_json_string(Path(CONFIG).read_text())
    by_jwt = client(box.BoxJWTAuth(config=config))
    assert by_jwt.users.get_user_me().login.startswith("AutomationUser_")
    ccg = box.CCGConfig(config.client_id, config.client_secret, enterprise_id=config.enterprise_id)
    by_ccg = client(box.BoxCCGAuth(config=ccg))
    assert by_ccg.users.get_user_me().login == by_jwt.users.get_user_me().login
    user = by_jwt.users.create_user("App user", is_platform_access_only=True)
    assert by_jwt.users.get_user_by_id(user.id).name == "App user"
    narrowed = by_jwt.auth.downscope_token(["item_preview"], network_session=session())
    assert narrowed.access_token
    by_jwt.users.delete_user_by_id(user.id)


def main() -> None:
    c = client(box.BoxDeveloperTokenAuth(token=TOKEN))
    other = client(box.BoxDeveloperTokenAuth(token=OTHER))
    assert c.users.get_user_me().login == "ada@example.com"
    folder = walk_folders(c)
    file = walk_files(c, folder)
    walk_big_file(c, folder)
    walk_sharing(c, other, file, folder)
    walk_metadata_and_search(c, file, folder)
    walk_events(c, folder)
    walk_auth()
    print("walked")


main()
