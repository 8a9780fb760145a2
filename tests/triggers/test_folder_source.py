"""Files of a folder as a source: the contract, and what is theirs alone: half-written ones, changes, deletions, many names, what may not be read."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowledger.connectors.sources import folder as source
from flowledger.events.triggers import FILE
from flowledger.kernel.model import read
from tests.triggers.conftest import place_of
from tests.triggers.contract import Contract, World, opened, quick  # noqa: F401 - a fixture for all

pytestmark = pytest.mark.req("APG-TRG-007", "APG-TRG-002")
SEEN = "start: {process: p, variables: {n: 0, e: =event, path: =path, size: =size, payload: =payload}}\n"


class Files(World):
    NUMBER = "payload.n"

    def __init__(self, place: Any, folder: Path) -> None:
        super().__init__(place)
        self.folder, self.more = folder, "content: json, settle: PT0S"

    def source(self) -> str:
        return f"{{files: {{folder: {self.folder}, {self.more}}}}}"

    async def put(self, *numbers: int, **more: Any) -> None:
        """As who writes beside and renames."""
        for n in numbers:
            near = self.folder / f".{n}"
            near.write_text(json.dumps({"n": n, **more}))
            near.rename(self.folder / f"{n}.json")

    async def away(self, is_away: bool) -> None:
        far = self.folder.with_name("away")
        (self.folder if is_away else far).rename(far if is_away else self.folder)

    async def told(self) -> list[tuple[str, str]]:
        return [(v["e"], v["path"]) for v in await self.place.started() if "e" in v]

    async def tell(self, *expected: tuple[str, str]) -> None:
        async def look() -> bool:
            return len(await self.told()) >= len(expected)

        await self.place.until(look)
        await asyncio.sleep(0.4)
        assert sorted(await self.told()) == sorted(expected)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Files]:
    monkeypatch.setattr(source, "LOOK_S", 0.05)
    (folder := tmp_path / "in").mkdir()
    async with place_of(tmp_path, trigger_folders=(str(tmp_path),)) as place, opened(Files(place, folder)) as found:
        yield found


class TestFiles(Contract):
    async def test_created_changed_and_deleted_are_told_once_each_also_of_what_happened_while_nobody_read(self, world):
        world.more = 'settle: PT0S, events: [created, changed, deleted], content: text, pattern: ["*.txt", "ä*"]'
        (world.folder / "old.txt").write_text("old")
        await world.deploy(SEEN)
        first = await world.node("n1")
        await world.reading()
        for name in ("a.txt", "ä b", "c.csv", ".hidden.txt", "x.txt.part"):
            (world.folder / name).write_text("1")
        await world.tell(("created", "a.txt"), ("created", "ä b"))
        (world.folder / "a.txt").write_text("22")
        (world.folder / "old.txt").unlink()
        await world.tell(("created", "a.txt"), ("created", "ä b"), ("changed", "a.txt"), ("deleted", "old.txt"))
        await first.kill()
        (world.folder / "a.txt").write_text("333")
        (world.folder / "ä b").unlink()
        (world.folder / "new.txt").write_text("4")
        await world.node("n2")
        so_far = await world.told()
        await world.tell(*so_far, ("changed", "a.txt"), ("deleted", "ä b"), ("created", "new.txt"))
        # what is gone is forgotten: made anew it is created
        (world.folder / "ä b").write_text("5")
        so_far = await world.told()
        await world.tell(*so_far, ("created", "ä b"))
        assert {p.removeprefix(FILE) for p in world.place.trigger("t").places} == {"", "a.txt", "ä b", "new.txt"}
        assert [v["payload"] for v in await world.place.started() if v.get("path") == "a.txt"] == ["1", "22", "333"]

    @pytest.mark.parametrize("takes", [1, 2, 3, 4])
    async def test_who_dies_before_hearing_of_a_deletion_doubles_nothing(self, world, takes):
        world.more = "settle: PT0S, events: [created, deleted]"
        await world.deploy(SEEN)
        first = await world.node("n1", takes)
        await world.reading()
        (world.folder / "a").write_text("1")
        (world.folder / "b").write_text("1")

        async def created() -> bool:
            return len(await world.told()) >= min(takes, 2)

        await world.place.until(created)
        (world.folder / "a").unlink()
        (world.folder / "b").unlink()
        second = await world.node("n2")
        expected = {("deleted", "a"), ("deleted", "b"), ("created", "a"), ("created", "b")}

        async def gone() -> bool:
            return "file:a" not in world.place.trigger("t").places and "file:b" not in world.place.trigger("t").places

        await world.place.until(gone)
        await asyncio.sleep(0.3)
        told = await world.told()
        assert len(told) == len(set(told)) and set(told) <= expected, told
        assert takes < 2 or set(told) == expected, "what was seen is told whole"
        await first.kill()
        assert second is not None

    async def test_one_that_is_being_written_is_left_alone_until_it_rests(self, world):
        world.more = "settle: PT1S, content: text"
        await world.deploy(SEEN)
        await world.node()
        await world.reading()
        with (world.folder / "slow").open("w") as file:
            for n in range(15):
                file.write(f"{n} ")
                file.flush()
                await asyncio.sleep(0.1)
                assert await world.told() == []
            file.write("end")
        await world.tell(("created", "slow"))
        [found] = [v for v in await world.place.started() if "e" in v]
        assert found["payload"].endswith("14 end") and found["size"] == len(found["payload"])

    async def test_rights_and_times_alone_are_no_change_and_a_rename_over_it_is_one(self, world):
        world.more = "settle: PT0S, events: [created, changed]"
        await world.deploy(SEEN)
        first = await world.node()
        await world.reading()
        (path := world.folder / "a").write_text("1")
        await world.tell(("created", "a"))
        path.chmod(0o600)
        os.link(path, world.folder / ".link")
        await world.tell(("created", "a"))
        await first.stop()
        await world.node("n2")
        await asyncio.sleep(0.5)
        await world.tell(("created", "a"))
        (near := world.folder / ".near").write_text("2")
        os.utime(near, (1, 1))  # older than the one that it takes the place of
        near.rename(path)
        await world.tell(("created", "a"), ("changed", "a"))

    async def test_folders_below_links_and_odd_names(self, world):
        world.more = "settle: PT0S, subfolders: true, content: base64"
        outside = world.folder.parent / "outside"
        outside.mkdir()
        (outside / "secret").write_text("geheim")
        await world.deploy(SEEN)
        await world.node()
        await world.reading()
        (world.folder / "deep" / "er").mkdir(parents=True)
        (world.folder / "deep" / "er" / "x").write_bytes(b"\xff")
        (world.folder / "link").symlink_to(outside / "secret")
        (world.folder / "links").symlink_to(outside)
        os.mkfifo(world.folder / "pipe")
        with open(os.fsencode(world.folder) + b"/\xff\n", "wb") as file:
            file.write(b"1")
        await world.tell(("created", "deep/er/x"), ("created", "\\xff\n"))
        assert {v["payload"] for v in await world.place.started() if "e" in v} == {"/w==", "MQ=="}

    async def test_what_cannot_be_read_as_it_should_is_parked_and_the_next_passes(self, world):
        world.more = "settle: PT0S, content: json"
        await world.deploy()
        await world.node()
        await world.reading()
        for name, raw in (("a", b"{"), ("b", b"\xff"), ("c", b'{"n":1,"n":2}'), ("d", b" " * 1_100_001)):
            (world.folder / name).write_bytes(raw)
        await world.put(7)
        await world.come(7)
        assert sorted(x.context["path"] for x in world.place.parked("t")) == ["a", "b", "c", "d"]

    async def test_an_empty_place_is_no_deletion(self, world):
        """A folder that is gone (a drive that isn't there) is told as away."""
        world.more = "settle: PT0S, events: [created, deleted]"
        await world.deploy(SEEN)
        await world.node()
        await world.reading()
        (world.folder / "a").write_text("1")
        await world.tell(("created", "a"))
        await world.away(True)

        async def told() -> bool:
            return "can't be read" in world.place.trigger("t").error

        await world.place.until(told)
        await world.away(False)
        (world.folder / "b").write_text("1")
        await world.tell(("created", "a"), ("created", "b"))

    async def test_too_many_files_are_told(self, world, monkeypatch):
        monkeypatch.setattr(source, "FILES_MAX", 5)
        await world.put(*range(6))
        await world.deploy()
        await world.node()

        async def told() -> bool:
            return "more than 5 files" in world.place.trigger("t").error

        await world.place.until(told)
        (world.folder / "3.json").unlink()
        await world.reading()
        await world.put(3)

    async def test_from_the_start(self, world):
        world.more += ", from: start"
        await world.put(1, 2)
        await world.deploy()
        await world.node()
        await world.come(1, 2)


@pytest.mark.parametrize("where", ["other", "in/../other", "link", "/etc"])
async def test_only_folders_that_the_operator_names_are_read(tmp_path, where):
    for name in ("in", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "other")
    folder = {"link": tmp_path / "in" / "link"}.get(where, tmp_path / where)
    async with place_of(tmp_path, trigger_folders=(str(tmp_path / "in"),)) as place:
        world = Files(place, folder)
        async with opened(world):
            await world.deploy()
            await world.node()

            async def told() -> bool:
                return "may not be read" in place.trigger("t").error

            await place.until(told)
    shutil.rmtree(tmp_path / "other")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{}", "folder: expected it"), ("{folder: in}", "whole path"), ("{folder: /in, events: [made]}", "created, changed, deleted"),
        ("{folder: /in, settle: soon}", "a duration"), ("{folder: /in, pattern: a/b}", "names with"), ("{folder: /in, content: xml}", "none, text"),
        ("{folder: /in, subfolders: 1}", "true or false"), ("{folder: /in, form: now}", "one of folder"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_a_finding(config, words):
    text = f"format: flowledger/trigger@1\nname: t\nsource: {{files: {config}}}\nsignal: {{name: s}}\n"
    _, found = read(text.encode(), "t.trigger.yaml")
    assert [f.code for f in found] == ["TRIGGER_SOURCE"] and words in found[0].message, found
