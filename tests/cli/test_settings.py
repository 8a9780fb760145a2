"""Settings: where they come from, and what is said of wrong ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowledger.infra.cli.main import run
from flowledger.infra.settings import Settings, SettingsError, load, traced
from flowledger.kernel.limits import LEASE_MS_MAX


@pytest.mark.req("WOS-CFG-004")
def test_options_win_over_the_environment_and_that_over_the_file(tmp_path: Path):
    file = tmp_path / "s.toml"
    file.write_text('port = 1\nkafka = "a:1"\nroles = ["owner"]\nprefix = "x"\n')
    s = load(file, {"FLOWLEDGER_PORT": "2", "FLOWLEDGER_KAFKA": "b:2"}, port=3, postgres=None)
    assert (s.port, s.kafka, s.roles, s.prefix, s.postgres) == (3, "b:2", ("owner",), "x", "")
    assert load(None, {"FLOWLEDGER_CONFIG": str(file)}).port == 1


@pytest.mark.parametrize(("name", "text"), [("s.yaml", "port: 7\n"), ("s.json", '{"port": 7}'), ("s.toml", "port = 7\n")])
def test_files_of_three_kinds(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_text(text)
    assert load(tmp_path / name, {}).port == 7


def test_lists_are_separated_by_commas():
    assert load(None, {"FLOWLEDGER_ROLES": "api, owner", "FLOWLEDGER_HOSTS": "a.example"}).roles == ("api", "owner")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"FLOWLEDGER_PORT": "x"}, ["port", "'x'"]),
        ({"FLOWLEDGER_PORT": "70000"}, ["port", "65535"]),
        ({"FLOWLEDGER_ROLES": "boss"}, ["boss", "projector"]),
        ({"FLOWLEDGER_ROLES": ""}, ["at least one role"]),
        ({"FLOWLEDGER_PARTITONS": "3"}, ["FLOWLEDGER_PARTITONS", "FLOWLEDGER_PARTITIONS"]),
        ({"FLOWLEDGER_PROT": "3", "FLOWLEDGER_CACHE": "x"}, ["FLOWLEDGER_PROT", "mean FLOWLEDGER_PORT?"]),
        ({"FLOWLEDGER_SERVR": "http://x"}, ["FLOWLEDGER_SERVR", "mean FLOWLEDGER_SERVER?"]),
        ({"FLOWLEDGER_XYZZY": "1", "FLOWLEDGER_PLUGH": "1"}, ["FLOWLEDGER_XYZZY", "FLOWLEDGER_PLUGH"]),
        ({"FLOWLEDGER_DURABILITY": "none"}, ["durability", "'full'"]),
        ({"FLOWLEDGER_CONFIG": "/nowhere.toml"}, ["/nowhere.toml", "No such file"]),
    ],
)
def test_a_wrong_setting_says_what_was_expected_and_found(environment: dict[str, str], said: list[str]):
    with pytest.raises(SettingsError) as e:
        load(None, environment)
    assert all(part in str(e.value) for part in said), str(e.value)


@pytest.mark.req("WOS-CFG-002")
def test_a_default_retry_policy_is_read_and_checked():
    told = {"FLOWLEDGER_DEFAULT_RETRY": '{"attempts": 5, "backoff": "exponential", "delay": "PT1S"}'}
    assert load(environment=told).default_retry == {"attempts": 5, "backoff": "exponential", "delay": "PT1S"}
    for bad, said in (
        ('{"attempts": -1}', "a whole number of 1 or more"),
        ('{"atempts": 3}', "'atempts' is no setting of a retry policy"),
        ("3", "dict"),
    ):
        with pytest.raises(SettingsError, match=said):
            load(environment={"FLOWLEDGER_DEFAULT_RETRY": bad})


def test_nothing_but_the_given_environment_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FLOWLEDGER_PORT", "99")
    assert load(None, {}).port == 8080 and load().port == 99
    assert Settings.model_validate(load(None, {"FLOWLEDGER_PORT": "7"}).model_dump(mode="json")).port == 7


def test_where_each_of_them_comes_from(tmp_path: Path):
    file = tmp_path / "s.yaml"
    file.write_text("port: 1\nprefix: x\nkafka: a:1\n")
    s, where = traced(file, {"FLOWLEDGER_PORT": "2", "flowledger_kafka": "b:2"}, port=3, host=None)
    assert (s.port, s.kafka, s.prefix, s.host) == (3, "b:2", "x", "127.0.0.1")
    assert (where["port"], where["kafka"], where["prefix"], where["host"]) == ("option", "FLOWLEDGER_KAFKA", f"file {file}", "default")
    assert set(where) == set(Settings.model_fields)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.toml", "[port"), ("a.toml", "nonsense = 1"), ("a.yaml", "- 1\n"), ("a.yaml", "a: ["), ("a.json", "[1]"), ("a.json", "{")],
)
def test_a_file_that_is_no_table_of_settings_is_refused(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=name):
        load(tmp_path / name, {})
    with pytest.raises(SettingsError, match="a file was expected"):
        load(tmp_path, {})


def test_the_command_shows_values_and_sources_and_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("FLOWLEDGER_POSTGRES", "postgresql://u:secret@db/x")
    with pytest.raises(SystemExit) as e:
        run(["settings", "--port", "7", "--json"])
    rows = {row["setting"]: row for row in json.loads(capsys.readouterr().out)}
    assert not e.value.code and rows["port"] == {"setting": "port", "value": "7", "source": "option"}
    assert rows["postgres"] == {"setting": "postgres", "value": "postgresql://u:***@db/x", "source": "FLOWLEDGER_POSTGRES"}
    monkeypatch.setenv("FLOWLEDGER_PROT", "7")
    with pytest.raises(SystemExit) as e:
        run(["settings"])
    assert e.value.code == 2 and "did you mean FLOWLEDGER_PORT?" in capsys.readouterr().err


def test_a_client_is_told_of_a_misspelt_variable(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("FLOWLEDGER_SERVR", "http://127.0.0.1:1")
    monkeypatch.setenv("FLOWLEDGER_DATA", "/elsewhere")
    with pytest.raises(SystemExit):
        run(["instances", "--server", "http://127.0.0.1:1"])
    said = capsys.readouterr().err
    assert "FLOWLEDGER_SERVR is unknown; did you mean FLOWLEDGER_SERVER?" in said and "FLOWLEDGER_DATA" not in said


def test_the_default_is_this_machine_only():
    s = load(None, {})
    assert s.host == "127.0.0.1" and s.loopback and s.otlp_endpoint == ""


@pytest.mark.parametrize(
    "value",
    [
        "*",
        "portal.example.com",
        "https://portal.example.com/",
        "https://*.example.com",
        "https://a.b; script-src *",
        "ftp://a",
        "https://A B",
    ],
)
def test_who_may_frame_the_console_is_named_by_origin(value: str):
    """It stands in the policy of pages as it is."""
    with pytest.raises(SettingsError, match="embed_origins.*expected origins like"):
        load(None, {"FLOWLEDGER_EMBED_ORIGINS": value})
    good = "https://portal.example.com,http://localhost:3000, http://[::1]:80"
    assert load(None, {"FLOWLEDGER_EMBED_ORIGINS": good}).embed_origins == tuple(x.strip() for x in good.split(","))


SMALL = {"instances_max": 50, "default_timeout_ms": 900_000, "default_retry": {"max_attempts": 3}, "partitions": 1}
KEPT = {"state_validation": True, "snapshots": True, "history_max": 1_000}


@pytest.mark.req("WSM-CFG-002", "WSM-CFG-003")
def test_the_small_profile_has_defaults_of_its_own_and_what_is_set_wins(tmp_path: Path):
    s, where = traced(None, {"FLOWLEDGER_PROFILE": "small"})
    assert {n: getattr(s, n) for n in (*SMALL, *KEPT)} == SMALL | KEPT
    assert {where[n] for n in SMALL} == {"profile small"} and {where[n] for n in KEPT} == {"default"}
    file = tmp_path / "s.yaml"
    file.write_text("profile: small\npartitions: 3\n")
    told = {"FLOWLEDGER_INSTANCES_MAX": "60", "FLOWLEDGER_DEFAULT_TIMEOUT_MS": "0", "FLOWLEDGER_SNAPSHOTS": "false"}
    s, where = traced(file, told, history_max=7)
    assert (s.partitions, s.instances_max, s.default_timeout_ms, s.snapshots, s.history_max) == (3, 60, 0, False, 7)
    assert [where[n] for n in ("partitions", "instances_max", "default_retry", "history_max")] == [
        f"file {file}", "FLOWLEDGER_INSTANCES_MAX", "profile small", "option",
    ]  # fmt: skip
    for profile in ("", "secure"):
        other = load(None, {"FLOWLEDGER_PROFILE": profile})
        assert (other.instances_max, other.default_timeout_ms, other.default_retry, other.partitions) == (0, 0, {}, 4)


def test_the_longest_attempt_that_can_be_set_is_the_longest_lease():
    assert load(None, {"FLOWLEDGER_DEFAULT_TIMEOUT_MS": str(LEASE_MS_MAX)}).default_timeout_ms == LEASE_MS_MAX
    for bad in (str(LEASE_MS_MAX + 1), "-1"):
        with pytest.raises(SettingsError, match="default_timeout_ms"):
            load(None, {"FLOWLEDGER_DEFAULT_TIMEOUT_MS": bad})
