"""Settings: where they come from, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowledger.infra.settings import SettingsError, load


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
        ({"FLOWLEDGER_DURABILITY": "none"}, ["durability", "'full'"]),
        ({"FLOWLEDGER_CONFIG": "/nowhere.toml"}, ["/nowhere.toml", "No such file"]),
    ],
)
def test_a_wrong_setting_says_what_was_expected_and_found(environment: dict[str, str], said: list[str]):
    with pytest.raises(SettingsError) as e:
        load(None, environment)
    assert all(part in str(e.value) for part in said), str(e.value)


def test_the_default_is_this_machine_only():
    s = load(None, {})
    assert s.host == "127.0.0.1" and s.loopback and s.otlp_endpoint == ""
