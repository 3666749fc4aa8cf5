"""BoxClient's users, groups, collaborations and comments against the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from boxfs.api import BoxClient, ClientCredentials
from boxfs.base.errors import NotFound
from tests.client.conftest import QUICK
from tests.support.box import Box


@pytest.fixture
def service(box: Box, console: dict[str, Any]) -> Iterator[BoxClient]:
    """The application's service account, which may manage users."""
    app = console["boxAppSettings"]
    auth = ClientCredentials(
        app["clientID"], app["clientSecret"], "enterprise", console["enterpriseID"], api_url=box.url
    )
    with BoxClient(auth, api_url=box.url, backoff=QUICK) as made:
        yield made


def test_user_info(client: BoxClient) -> None:
    me = client.users.me()
    assert me.login
    assert me.space_amount
    assert client.users.get(me.id) == me
    assert client.users.me(fields="role").role is not None


def test_app_users_are_made_listed_acted_as_and_deleted(service: BoxClient) -> None:
    ada = service.users.create_app_user("App Ada", job_title="Engineer")
    assert ada.id in {user.id for user in service.users.list()}
    assert [user.id for user in service.users.list(filter_term="App Ada")] == [ada.id]
    acting = service.as_user(ada.id)
    assert acting.users.me().id == ada.id
    acting.folders.create("0", "Hers")
    assert [item.name for item in acting.folders.items("0")] == ["Hers"]
    assert "Hers" not in {item.name for item in service.folders.items("0")}
    assert service.users.update(ada.id, name="Ada L").name == "Ada L"
    service.users.delete(ada.id, force=True)
    with pytest.raises(NotFound):
        service.users.get(ada.id)


def test_managed_users_and_their_content(service: BoxClient) -> None:
    carol = service.users.create("Carol", "carol@example.com")
    dave = service.users.create("Dave", "dave@example.com")
    service.as_user(carol.id).files.upload("0", "a", b"1")
    folder = service.users.transfer_content(carol.id, dave.id)
    assert [item.name for item in service.as_user(dave.id).folders.items(folder.id)] == ["a"]


def test_groups_and_memberships(service: BoxClient) -> None:
    group = service.groups.create("Team", description="of people")
    assert service.groups.get(group.id).name == "Team"
    assert service.groups.update(group.id, name="Crew").name == "Crew"
    user = service.users.create("Erin", "erin@example.com")
    membership = service.groups.add_member(group.id, user.id)
    assert [each.user and each.user.id for each in service.groups.memberships(group.id)] == [user.id]
    assert [each.id for each in service.users.memberships(user.id)] == [membership.id]
    assert service.groups.get_membership(membership.id).role == "member"
    assert service.groups.update_membership(membership.id, role="admin").role == "admin"
    service.groups.remove_member(membership.id)
    service.groups.delete(group.id)
    assert group.id not in {each.id for each in service.groups.list()}


def test_collaborations(client: BoxClient, bob: BoxClient) -> None:
    folder = client.folders.create("0", "Shared")
    me = bob.users.me()
    made = client.collaborations.create("folder", folder.id, "viewer", login=me.login)
    assert [each.id for each in client.folders.collaborations(folder.id)] == [made.id]
    got = client.collaborations.get(made.id)
    assert (got.role, got.accessible_by and got.accessible_by.id) == ("viewer", me.id)
    updated = client.collaborations.update(made.id, role="editor")
    assert updated is not None
    assert updated.role == "editor"
    assert folder.id in {item.id for item in bob.folders.items("0")}
    assert list(bob.collaborations.pending()) == []
    client.collaborations.delete(made.id)
    with pytest.raises(NotFound):
        bob.folders.get(folder.id)


def test_comments(client: BoxClient) -> None:
    file = client.files.upload("0", "a", b"1")
    comment = client.comments.create(file.id, "first")
    reply = client.comments.create(comment.id, "second", item_type="comment")
    assert reply.is_reply_comment
    assert {each.message for each in client.comments.list(file.id)} == {"first", "second"}
    assert client.comments.update(comment.id, "changed").message == "changed"
    client.comments.delete(comment.id)
    with pytest.raises(NotFound):
        client.comments.get(comment.id)
