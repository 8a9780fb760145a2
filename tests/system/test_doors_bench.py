"""`flowledger bench doors` in its shortest form: a whole system, clients in a process of their own, and what each figure says. Never how fast."""

from dataclasses import replace

import pytest

from flowledger.bench import doors

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.timeout(280)]
PROCESSES = {"door", "owner", "projector", "postgres", "broker", "client"}


@pytest.mark.req("D-PER-008")
def test_each_door_has_its_rate_its_cpu_by_process_and_its_latencies(tmp_path, monkeypatch):
    monkeypatch.setattr(doors, "UNDER_WAY", {"gateway": 8, "sdk": 8})
    found = {each["name"]: each for each in doors.run(rounds=1, output=tmp_path, split=True, size=replace(doors.SHORT, window_s=1.0))}
    print(*found.values(), sep="\n")
    for door in ("gateway", "sdk"):
        for work in ("w1", "w2", "w3"):
            figure = found[f"doors.{work}.{door}"]
            assert figure["cpu_us"].keys() == PROCESSES and figure["under_way"] == 8 and len(figure["rounds"]) == 1
            assert figure["server_cpu_us"] == sum(figure["cpu_us"].values()) - figure["cpu_us"]["client"]
        worker, end = found[f"doors.start_to_worker.{door}"], found[f"doors.start_to_end.{door}"]
        assert worker["value"] <= end["value"] and worker["value"] <= worker["p99"] and worker["samples"] == end["samples"] <= 18
    for name in ("idle", "parked"):
        assert found[f"doors.{name}.cpu"]["by"].keys() == found[f"doors.{name}.memory"]["by"].keys() == PROCESSES - {"client"}
        assert all(mib > 0 for mib in found[f"doors.{name}.memory"]["by"].values())
    assert found["doors.parked.memory"]["instances"] == 50
    assert found["doors.flames"]["value"] == len(list(tmp_path.glob("flame-*.svg")))
    assert {each["layout"] for each in found.values()} == {"split"}
