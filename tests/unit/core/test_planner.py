"""The planner against a Box in memory: whatever differs, its calls are possible, few, and lead to the local tree."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from boxfs.base.types import ROOT_FOLDER, ROOT_INO, Ino, ItemId, Kind
from boxfs.core.calls import Call, Delete, MakeFolder, SetProperties, Update, Upload, UploadVersion
from boxfs.core.names import fold
from boxfs.core.node import Content, Node, Wanted
from boxfs.core.planner import DELETE_PATIENCE_NS, OPEN_IDLE_NS, SECOND, Outlook, plan
from tests.support.memorybox import MemoryBox

SETTLE = 2 * SECOND


class World:
    """A local tree beside a MemoryBox, with the least that the planner needs."""

    def __init__(self) -> None:
        self.box = MemoryBox()
        root = Node(ROOT_INO, Kind.FOLDER, None, "", remote=self.box.item(self.box.find(Kind.FOLDER, ROOT_FOLDER)))
        self.nodes: dict[Ino, Node] = {ROOT_INO: root}
        self.calls: list[Call] = []
        self.now = 1000 * SECOND

    def add(self, parent: Ino, name: str, kind: Kind = Kind.FILE, *, at_box: bool = True) -> Ino:
        ino = Ino(max(self.nodes) + 1)
        remote = None
        if at_box:
            above = self.nodes[parent].remote
            assert above is not None
            remote = self.box.item(self.box.create(kind, above.id, name, b"" if kind is Kind.FILE else None))
        content = Content(1, 1) if kind is Kind.FILE and not at_box else None
        self.nodes[ino] = Node(ino, kind, parent, name, remote=remote, content=content)
        return ino

    def folder(self, parent: Ino, name: str, *, at_box: bool = True) -> Ino:
        return self.add(parent, name, Kind.FOLDER, at_box=at_box)

    def move(self, ino: Ino, parent: Ino | None, name: str = "") -> None:
        node = self.nodes[ino]
        if parent is None and node.remote is None:
            del self.nodes[ino]
            return
        self.nodes[ino] = replace(node, parent=parent, name=name or node.name, changed_ns=self.now)

    def edit(self, ino: Ino) -> None:
        self.nodes[ino] = replace(self.nodes[ino], content=Content(1, 1), changed_ns=self.now)

    def wanted(self, node: Node) -> Wanted:
        if node.ino == ROOT_INO:
            return Wanted.NOTHING
        if node.parent is None:
            return Wanted.DELETE
        if node.remote is None:
            return Wanted.CREATE
        above = self.nodes[node.parent].remote
        wanted = Wanted.CONTENT if node.content is not None else Wanted.NOTHING
        if above is None or above.id != node.remote.parent_id or node.name != node.remote.name:
            wanted |= Wanted.PLACE
        return wanted

    def outlook(self, **more: object) -> Outlook:
        wanted = {ino: w for ino, node in self.nodes.items() if (w := self.wanted(node))}
        return Outlook(
            nodes=self.nodes,
            wanted=wanted,
            names={ino: self.nodes[ino].name for ino in wanted},
            ino_of={n.remote.id: i for i, n in self.nodes.items() if n.remote is not None and n.is_folder},
            now_ns=self.now,
            settle_ns=SETTLE,
            **more,  # type: ignore[arg-type]
        )

    def settle(self) -> None:
        self.now += 100 * SECOND

    def run(self, call: Call) -> None:
        self.calls.append(call)
        node = self.nodes[call.ino]
        match call:
            case MakeFolder() | Upload():
                kind = Kind.FOLDER if isinstance(call, MakeFolder) else Kind.FILE
                held = self.box.create(kind, call.parent_id, call.name, None if kind is Kind.FOLDER else b"")
                self.nodes[call.ino] = replace(node, remote=self.box.item(held), content=None)
            case UploadVersion():
                held = self.box.overwrite(self.box.find(Kind.FILE, call.file_id), b"new", name=call.name)
                self.nodes[call.ino] = replace(node, remote=self.box.item(held), content=None)
            case Update():
                held = self.box.find(call.kind, call.item_id)
                self.box.change(held, name=call.name, parent_id=call.parent_id)
                self.nodes[call.ino] = replace(node, remote=self.box.item(held))
            case Delete():
                self.box.delete(self.box.find(call.kind, call.item_id), recursive=len(call.covers) > 1)
                for ino in call.covers:
                    del self.nodes[ino]
            case SetProperties():
                raise AssertionError

    def converge(self, dice: random.Random | None = None) -> list[Call]:
        """Run to the end; with dice, some of each plan's calls in any order."""
        self.settle()
        for _ in range(10 * len(self.nodes) + 10):
            answer = plan(self.outlook())
            if not answer.calls:
                break
            calls = answer.calls
            if dice is not None:
                calls = dice.sample(calls, dice.randint(1, len(calls)))
            for call in calls:
                self.run(call)
        assert not self.outlook().wanted, "something is still pending and nothing is planned"
        assert {p for p, _ in self.box.walk()} == set(self.paths().values())
        return self.calls

    def paths(self) -> dict[Ino, str]:
        def path(node: Node) -> str:
            assert node.parent is not None
            above = self.nodes[node.parent]
            return node.name if above.ino == ROOT_INO else f"{path(above)}/{node.name}"

        return {ino: path(node) for ino, node in self.nodes.items() if ino != ROOT_INO and node.parent is not None}


def kinds(calls: list[Call]) -> list[str]:
    return [type(call).__name__ for call in calls]


def test_parent_before_children_each_one_call() -> None:
    world = World()
    top = world.folder(ROOT_INO, "top", at_box=False)
    for n in range(5):
        world.add(world.folder(top, f"d{n}", at_box=False), "f", at_box=False)
    assert sorted(kinds(world.converge())) == ["MakeFolder"] * 6 + ["Upload"] * 5


def test_rename_and_move_in_one_update() -> None:
    world = World()
    there = world.folder(ROOT_INO, "there")
    file = world.add(ROOT_INO, "a")
    world.move(file, there, "b")
    assert world.converge() == [Update(file, Kind.FILE, ItemId("1"), "b", ItemId("1"), set_time=False)]


def test_new_bytes_and_new_name_in_one_upload() -> None:
    world = World()
    file = world.add(ROOT_INO, "a")
    world.move(file, ROOT_INO, "b")
    world.edit(file)
    assert world.converge() == [UploadVersion(file, ItemId("1"), "b")]


def test_case_only_rename_is_one_call() -> None:
    world = World()
    world.move(world.add(ROOT_INO, "readme"), ROOT_INO, "README")
    assert kinds(world.converge()) == ["Update"]


def test_two_names_swapped_take_three_updates() -> None:
    world = World()
    a, b = world.add(ROOT_INO, "a"), world.add(ROOT_INO, "b")
    world.move(a, ROOT_INO, "b")
    world.move(b, ROOT_INO, "a")
    assert kinds(world.converge()) == ["Update"] * 3


def test_tree_removed_is_one_delete() -> None:
    world = World()
    top = world.folder(ROOT_INO, "top")
    below = [world.add(world.folder(top, f"d{n}"), "f") for n in range(5)]
    everything = [i for i in world.nodes if i != ROOT_INO]
    for ino in reversed(everything):
        world.move(ino, None)
    (call,) = world.converge()
    assert isinstance(call, Delete)
    assert set(below) < set(call.covers)


def test_what_moved_out_leaves_before_its_folder_goes() -> None:
    world = World()
    top = world.folder(ROOT_INO, "top")
    file = world.add(top, "keep")
    world.move(file, ROOT_INO, "kept")
    world.move(top, None)
    assert kinds(world.converge()) == ["Update", "Delete"]


def test_new_folder_takes_the_name_of_the_one_its_children_come_from() -> None:
    world = World()
    old = world.folder(ROOT_INO, "dir")
    files = [world.add(old, f"f{n}") for n in range(3)]
    new = world.folder(ROOT_INO, "dir", at_box=False)
    for file in files:
        world.move(file, new)
    world.move(old, None)
    assert sorted(kinds(world.converge())) == ["Delete", "MakeFolder"] + ["Update"] * 4


def test_folders_turned_inside_out() -> None:
    world = World()
    a = world.folder(ROOT_INO, "a")
    b = world.folder(a, "b")
    world.move(b, ROOT_INO, "b")
    world.move(a, b, "a")
    assert kinds(world.converge()) == ["Update", "Update"]


def test_nothing_before_the_settle_window_is_over_but_for_the_hurried() -> None:
    world = World()
    file = world.add(ROOT_INO, "a")
    world.edit(file)
    answer = plan(world.outlook())
    assert (answer.calls, answer.next_ns) == ([], world.now + SETTLE)
    assert plan(world.outlook(hurried={file})).calls == plan(world.outlook(hurried=None)).calls != []


def test_hurry_reaches_those_who_are_waited_for() -> None:
    world = World()
    folder = world.folder(ROOT_INO, "d", at_box=False)
    file = world.add(folder, "f", at_box=False)
    for ino in (folder, file):
        world.nodes[ino] = replace(world.nodes[ino], changed_ns=world.now)
    assert kinds(plan(world.outlook(hurried={file})).calls) == ["MakeFolder"]


def test_file_held_open_for_writing_waits_for_a_pause() -> None:
    world = World()
    file = world.add(ROOT_INO, "log")
    world.edit(file)
    changed = world.now
    world.now += 10 * SECOND
    assert plan(world.outlook(in_use={file})).next_ns == changed + OPEN_IDLE_NS
    world.now += 21 * SECOND
    assert kinds(plan(world.outlook(in_use={file})).calls) == ["UploadVersion"]


def test_delete_waits_for_the_rest_of_the_tree_with_patience() -> None:
    world = World()
    top = world.folder(ROOT_INO, "top")
    files = [world.add(top, f"f{n}") for n in range(3)]
    first = world.now
    world.move(files[0], None)
    for _ in range(8):
        world.now += SECOND
        world.move(files[1], None)
        assert plan(world.outlook()).calls == []
    world.now = first + DELETE_PATIENCE_NS
    world.move(files[1], None)
    assert [call.ino for call in plan(world.outlook()).calls] == [files[0]]


def test_what_is_under_way_is_not_planned_and_is_waited_for() -> None:
    world = World()
    folder = world.folder(ROOT_INO, "d", at_box=False)
    world.add(folder, "f", at_box=False)
    world.settle()
    assert plan(world.outlook(busy={folder})).calls == []


@pytest.mark.parametrize("seed", range(250))
def test_any_rearrangement_converges(seed: int) -> None:
    dice = random.Random(seed)
    world = World()
    for _ in range(dice.randint(2, 9)):
        inside = dice.choice([i for i, n in world.nodes.items() if n.is_folder])
        taken = {fold(n.name) for n in world.nodes.values() if n.parent == inside}
        free = [name for name in "abcd" if name not in taken]
        if free:
            world.add(inside, dice.choice(free), dice.choice([Kind.FILE, Kind.FOLDER]))
    for _ in range(dice.randint(1, 14)):
        scramble(world, dice)
    live = len(world.nodes)
    world.converge(dice)
    asides = sum(isinstance(call, Update) and call.aside for call in world.calls)
    assert len(world.calls) - asides <= 2 * live
    assert asides <= live


def scramble(world: World, dice: random.Random) -> None:
    """One change of the local tree, such as a program could make."""

    def within(ino: Ino | None, top: Ino) -> bool:
        while ino is not None:
            if ino == top:
                return True
            ino = world.nodes[ino].parent
        return False

    shown = [i for i, n in world.nodes.items() if n.parent is not None]
    folders = [i for i in [ROOT_INO, *shown] if world.nodes[i].is_folder]
    parent, name = dice.choice(folders), dice.choice("abcdAB")
    taken = {fold(n.name): i for i, n in world.nodes.items() if n.parent == parent}
    what = dice.choice(["new", "move", "move", "move", "delete", "edit"])
    if what == "new" and fold(name) not in taken:
        world.add(parent, name, dice.choice([Kind.FILE, Kind.FOLDER]), at_box=False)
    elif shown and what != "new":
        ino = dice.choice(shown)
        if what == "edit" and world.nodes[ino].kind is Kind.FILE:
            world.edit(ino)
        elif what == "delete":
            for each in [i for i in shown if within(i, ino)]:
                world.move(each, None)
        elif what == "move" and not within(parent, ino) and taken.get(fold(name), ino) == ino:
            world.move(ino, parent, name)


def test_what_a_backup_rests_on_stays_until_that_is_sent_whatever_folder_has_the_same_number() -> None:
    world = World()
    world.add(ROOT_INO, "first")
    above = world.folder(ROOT_INO, "above")
    original = world.add(above, "f")
    other = world.folder(ROOT_INO, "other")
    remote, twin = world.nodes[original].remote, world.nodes[other].remote
    assert remote is not None
    assert twin is not None
    assert twin.id == remote.id
    backup = world.add(ROOT_INO, "f~", at_box=False)
    content = Content(1, 1, base=remote.version_id, base_file=remote.id)
    world.nodes[backup] = replace(world.nodes[backup], content=content)
    for ino in (original, above, other):
        world.move(ino, None)
    world.settle()
    calls = plan(world.outlook()).calls
    assert {(type(call), call.ino) for call in calls} == {(Upload, backup), (Delete, other)}
