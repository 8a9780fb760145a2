"""Bundles and `sync` against real servers: from one to another, from a folder, twice, and what nobody said yes to."""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from flowledger.infra.cli.bundles.environment import Environment
from flowledger.sdk import Flow
from flowledger.sdk.resources import text_of

pytestmark = [pytest.mark.req("APG-HA-012", "APG-HA-010", "APG-MOD-007"), pytest.mark.timeout(240)]
DMN = """<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="rates" name="rates" namespace="n"><decision id="rate" name="rate">
<variable name="rate"/><literalExpression><text>{}</text></literalExpression></decision></definitions>"""
FORM = '{{"type": "default", "id": "ask", "components": [{{"type": "textfield", "key": "name", "label": "{}"}}]}}'


@pytest.fixture
def cli(command_line):
    def call(*arguments: object, expect: int = 0) -> Any:
        code, out, err = command_line(*arguments)
        assert code == expect, (out, err)
        return json.loads(out) if "--json" in arguments and not code else out + err

    return call


def model(n: int, id: str = "order") -> bytes:
    return Flow(id).start().service(f"t{n}", job="work").end().xml()


def served(server: Any, kind: str = "process", id: str = "order") -> Any:
    return Environment(server.url).definitions()[kind, id]


def test_from_one_environment_to_another(cli, two_servers, tmp_path):
    test, productive = two_servers
    at_test, at_productive = ("--server", test.url), ("--server", productive.url)
    for name, data in (("order.bpmn", model(1)), ("rates.dmn", DMN.format(1).encode()), ("ask.form", FORM.format("a").encode())):
        (tmp_path / name).write_bytes(data)
    cli("deploy", *(tmp_path / n for n in ("order.bpmn", "rates.dmn", "ask.form")), *at_test)
    first, again = tmp_path / "first.zip", tmp_path / "again.zip"
    told = cli("bundle", "export", "-o", first, *at_test, "--json")
    assert {(d["kind"], d["id"]) for d in told["definitions"]} == {
        ("process", "order"),
        ("decision", "rate"),
        ("drg", "rates"),
        ("form", "ask"),
    }
    cli("bundle", "export", "-o", again, *at_test)
    assert first.read_bytes() == again.read_bytes(), "the same definitions, the same file"
    with zipfile.ZipFile(first) as z:
        assert z.read(next(n for n in z.namelist() if n.endswith("order.bpmn"))) == text_of(model(1)).encode(), (
            "byte by byte as it was deployed"
        )
    assert "nobody" in cli("bundle", "export", "nobody", "-o", again, *at_test, expect=1)

    # into an empty environment
    assert [r["change"] for r in cli("bundle", "compare", first, *at_productive, "--json")] == ["added"] * 3
    assert "expected --yes" in cli("bundle", "apply", first, *at_productive, expect=2) and not Environment(productive.url).definitions()
    plan = cli("bundle", "apply", first, *at_productive, "--dry-run", "--json")
    assert len(plan["deploy"]) == 3 and not plan["settings"] and not Environment(productive.url).definitions(), "only asked"
    assert "STALE" in cli("bundle", "apply", first, *at_productive, "--plan", "0" * 24, expect=1)
    done = cli("bundle", "apply", first, *at_productive, "--plan", plan["plan"], "--json")
    assert done["applied"] and len(done["definitions"]) == 4 and {d["deployment"] for d in done["definitions"]} == {done["deployment"]}
    assert cli("bundle", "apply", first, *at_productive, "--yes", "--json")["applied"] is False, "a second time there is nothing to do"
    assert "nothing to do" in cli("bundle", "apply", first, *at_productive)
    assert [r["change"] for r in cli("bundle", "compare", first, *at_productive, "--json")] == ["equal"] * 3

    # the next version, ramped at test, is ramped in production too, and never gets more
    (tmp_path / "order.bpmn").write_bytes(model(2))
    cli("deploy", tmp_path / "order.bpmn", *at_test)
    cli("rollout", "order", "--version", 2, "--share", 25, "--yes", *at_test)
    second = tmp_path / "second.zip"
    assert cli("bundle", "export", "order", "-o", second, *at_test, "--json")["settings"] == [
        {"kind": "process", "id": "order", "share": 25.0}
    ]
    rows = {r["id"]: r for r in cli("bundle", "compare", second, *at_productive, "--json")}
    assert (rows["order"]["change"], rows["order"]["here"], rows["rate"]["change"]) == ("changed", 1, "gone")
    assert {(c["change"], c["id"]) for c in rows["order"]["changes"]} >= {("removed", "t1"), ("added", "t2")}
    shown = cli("bundle", "compare", second, *at_productive)
    assert "t2" in shown and "changed" in shown
    between = cli("bundle", "compare", second, first, "--json")
    assert {r["id"]: r["change"] for r in between} == {"order": "changed", "rate": "gone", "ask": "gone"}
    done = cli("bundle", "apply", second, *at_productive, "--yes", "--json", "--reason", "release 2")
    assert [(s.get("default"), s.get("share"), s["version"]) for s in done["settings"]] == [(True, None, 1), (None, 25.0, 2)]
    found = served(productive)
    assert (found.default, found.pinned, found.ramp) == (1, 1, (2, 25.0))
    assert cli("bundle", "apply", second, *at_productive, "--yes", "--json")["applied"] is False

    # all of it, then back: nothing is deployed twice
    cli("rollout", "order", "--version", 2, "--default", "--yes", *at_test)
    third = tmp_path / "third.zip"
    cli("bundle", "export", "order", "-o", third, *at_test)
    done = cli("bundle", "apply", third, *at_productive, "--yes", "--json")
    assert not done["deploy"] and served(productive).default == 2 and served(productive).ramp is None
    done = cli("bundle", "apply", first, *at_productive, "--yes", "--json")
    assert not done["deploy"] and (served(productive).default, len(served(productive).versions)) == (1, 2)

    # what runs there by hand is said, and a broken model changes nothing
    cli("rollout", "order", "--version", 1, "--stop", "--yes", *at_productive)
    noted = cli("bundle", "apply", first, *at_productive, "--yes", "--json")
    assert noted["applied"] is False and any("stopped there" in n for r in noted["rows"] for n in r["notes"])
    cli("rollout", "order", "--open", "--default", "-v", 2, "--yes", *at_productive)


def test_a_folder_is_synced(cli, own_server, tmp_path):
    productive = own_server
    at = ("--server", productive.url)
    folder = tmp_path / "repo"
    (folder / "processes").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "x.bpmn").write_bytes(model(1, "hidden"))
    (folder / "package.json").write_text('{"name": "x"}')
    (folder / "processes" / "shipping.bpmn").write_bytes(model(1, "shipping"))
    (folder / "processes" / "billing.bpmn").write_bytes(model(1, "billing"))
    before = cli("sync", folder, *at, "--dry-run", "--json")
    assert {r["id"]: r["change"] for r in before["rows"] if r["id"] in ("shipping", "billing", "hidden")} == {
        "shipping": "added",
        "billing": "added",
    }
    assert (
        "expected --yes" in cli("sync", folder, *at, expect=2) and ("process", "shipping") not in Environment(productive.url).definitions()
    )
    assert "expected --yes" in cli("sync", folder, *at, "--json", expect=2)
    shown = cli("sync", folder, *at, "--yes")
    assert "deploy" in shown and "package.json" in shown
    assert cli("sync", folder, *at, "--yes", "--json")["applied"] is False
    assert served(productive, id="shipping").versions[0].resource == "processes/shipping.bpmn"

    (folder / "processes" / "shipping.bpmn").write_bytes(model(2, "shipping"))
    (folder / "flowledger.rollouts.yaml").write_text("- id: shipping\n  share: 10\n")
    done = cli("sync", folder, *at, "--yes", "--json")
    assert [d["name"] for d in done["deploy"]] == ["processes/shipping.bpmn"], "only what differs"
    assert served(productive, id="shipping").ramp == (2, 10.0)

    # broken: nothing is applied, also not what is whole
    (folder / "processes" / "broken.bpmn").write_text("<definitions")
    (folder / "processes" / "billing.bpmn").write_bytes(model(2, "billing"))
    assert "nothing was applied" in cli("sync", folder, *at, "--yes", "--prune", expect=1)
    assert len(served(productive, id="billing").versions) == 1
    (folder / "processes" / "broken.bpmn").unlink()

    # gone: it stays, until --prune stops its starts; it is deleted by nobody, and comes back with its file
    (folder / "processes" / "billing.bpmn").unlink()
    assert cli("sync", folder, *at, "--yes", "--json")["applied"] is False
    pruned = cli("sync", folder, *at, "--prune", "--yes", "--json")
    assert [s["id"] for s in pruned["settings"] if "stop_starts" in s] and served(productive, id="billing").default is None
    assert all(v.stopped and v.status == "published" for v in served(productive, id="billing").versions)
    assert "stopped by its rollout" in cli("start", "billing", *at, expect=1)
    assert cli("sync", folder, *at, "--prune", "--yes", "--json")["applied"] is False
    (folder / "processes" / "billing.bpmn").write_bytes(model(1, "billing"))
    assert not cli("sync", folder, *at, "--yes", "--json")["applied"], "without --prune what was stopped stays so"
    back = cli("sync", folder, *at, "--prune", "--yes", "--json")
    assert not back["deploy"] and served(productive, id="billing").default == 1 and cli("start", "billing", *at).strip()
    assert "folder was expected" in cli("sync", folder / "none", *at, "--yes", expect=1)


TRIGGER = "format: flowledger/trigger@1\nname: nightly\nsource:\n  schedule: {{cron: 0 {} * * *}}\nstart: {{process: order}}\n"


def becomes(server: Any, status: str, hour: str) -> None:
    """The trigger has this status and is due at that hour, once its home has heard of it."""
    row: dict[str, Any] = {}
    for _ in range(100):
        row = Environment(server.url).server.get("/v1/triggers/nightly")
        if (row["status"], (row["next_at"] or "")[11:13]) == (status, hour):
            return
        time.sleep(0.2)
    raise AssertionError(row)


@pytest.mark.req("APG-HA-010")
def test_triggers_travel_like_models_and_go_back(cli, two_servers, tmp_path):
    """From a folder, in a bundle, changed, back to what was; with `--prune` those that the folder doesn't have are paused."""
    test, productive = two_servers
    here, at = ("--server", test.url), ("--server", productive.url)
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "order.bpmn").write_bytes(model(1))
    (folder / "nightly.trigger.yaml").write_text(TRIGGER.format(7))
    done = cli("sync", folder, *here, "--yes", "--json")
    assert [(r["kind"], r["id"], r["change"]) for r in done["rows"]] == [("process", "order", "added"), ("trigger", "nightly", "added")]
    assert cli("sync", folder, *here, "--yes", "--json")["applied"] is False
    file = tmp_path / "release.zip"
    told = cli("bundle", "export", "-o", file, *here, "--json")
    assert ("trigger", "nightly") in {(d["kind"], d["id"]) for d in told["definitions"]}
    cli("bundle", "apply", file, "--yes", *at)
    becomes(productive, "active", "07")
    assert cli("bundle", "apply", file, "--yes", *at, "--json")["applied"] is False

    (folder / "nightly.trigger.yaml").write_text(TRIGGER.format(8))
    [changed] = [r for r in cli("bundle", "compare", file, *at, "--json") if r["kind"] == "trigger"]
    assert changed["change"] == "equal"
    done = cli("sync", folder, *at, "--yes", "--json")
    assert [d["name"] for d in done["deploy"]] == ["nightly.trigger.yaml"]
    becomes(productive, "active", "08")
    back = cli("bundle", "apply", file, "--yes", *at, "--json")
    assert not back["deploy"], "what was there before comes into force again"
    becomes(productive, "active", "07")

    (folder / "nightly.trigger.yaml").unlink()
    assert cli("sync", folder, *at, "--yes", "--json")["applied"] is False
    pruned = cli("sync", folder, *at, "--prune", "--yes", "--json")
    assert [(s["id"], s["move"]) for s in pruned["settings"] if "move" in s] == [("nightly", "pause")]
    becomes(productive, "paused", "")
    assert cli("sync", folder, *at, "--prune", "--yes", "--json")["applied"] is False
    (folder / "nightly.trigger.yaml").write_text(TRIGGER.format(7))
    kept = cli("sync", folder, *at, "--yes", "--json")
    assert not kept["applied"] and "it is paused there, and stays so" in [n for r in kept["rows"] for n in r.get("notes", [])]
    cli("sync", folder, *at, "--prune", "--yes")
    becomes(productive, "active", "07")


def test_all_formats_and_encodings_travel_byte_by_byte(cli, two_servers, tmp_path):
    """The examples, and texts with a mark, in other encodings, with other line ends and names: whatever is deployed is found to be the same."""
    test, productive = two_servers
    examples = tmp_path / "examples"
    shutil.copytree(Path(__file__).parents[2] / "examples", examples)
    text = (examples / "order.bpmn").read_text()
    (tmp_path / "odd").mkdir()
    for id, data in {
        "mark": lambda t: b"\xef\xbb\xbf" + t.encode(),
        "utf16": lambda t: t.replace('encoding="UTF-8"', 'encoding="UTF-16"').encode("utf-16"),
        "latin": lambda t: t.replace('encoding="UTF-8"', 'encoding="ISO-8859-1"').encode("latin-1", "xmlcharrefreplace"),
        "crlf": lambda t: t.replace("\n", "\r\n").encode(),
        "ümlaut x": lambda t: t.encode(),
    }.items():
        (tmp_path / "odd" / f"{id}.bpmn").write_bytes(data(text.replace('process id="order"', f'process id="{id.replace(" ", "-")}"')))
    for folder in (examples, tmp_path / "odd"):
        at_test, at_productive = ("--server", test.url), ("--server", productive.url)
        done = cli("sync", folder, *at_test, "--yes", "--json")
        assert done["applied"] and not cli("sync", folder, *at_test, "--yes", "--json")["applied"]
        cli("bundle", "export", "-o", tmp_path / "all.zip", *at_test)
        assert cli("bundle", "apply", tmp_path / "all.zip", *at_productive, "--yes", "--json")["applied"]
        assert cli("bundle", "apply", tmp_path / "all.zip", *at_productive, "--dry-run", "--json")["empty"]
        assert {r["change"] for r in cli("sync", folder, *at_productive, "--dry-run", "--json")["rows"]} <= {"equal", "gone"}


def test_whoever_is_asked_may_say_no(command_line, server, tmp_path, monkeypatch):
    (tmp_path / "asked.bpmn").write_bytes(model(1, "asked"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for word, exit_code in (("n\n", 1), ("y\n", 0)):
        monkeypatch.setattr("typer.confirm", lambda *_, word=word, **__: word == "y\n")
        code, out, err = command_line("sync", tmp_path, "--server", server.url)
        assert code == exit_code, (out, err)
        assert (("process", "asked") in Environment(server.url).definitions()) is (word == "y\n")


def test_files_that_are_none(cli, server, tmp_path):
    bad = Path(tmp_path / "bad.zip")
    bad.write_bytes(b"PK nothing")
    for command in (["bundle", "compare", bad], ["bundle", "apply", bad, "--yes"], ["bundle", "apply", tmp_path / "none.zip", "--yes"]):
        assert "flowledger: " in cli(*command, "--server", server.url, expect=1)
    assert json.loads(cli("bundle", "apply", bad, "--yes", "--json", "--server", server.url, expect=1))["error"]["exit"] == 1
