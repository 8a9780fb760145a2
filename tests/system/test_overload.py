"""Ten times more starts than a real server can do, over HTTP and over gRPC: the short form of `flowledger bench overload`.

How soon what is admitted is answered is the bench's figure; that it stays below a second is held in virtual time (`tests/owner/test_admission.py`).
"""

import pytest

from flowledger.bench import overload

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.postgres, pytest.mark.timeout(280)]


@pytest.mark.req("WOS-RES-010", "WOS-PER-002")
def test_what_is_too_much_is_refused_with_the_time_and_the_unimportant_first(postgres_url, monkeypatch, empty_database):
    with empty_database() as dsn:
        monkeypatch.setenv("POSTGRES_URL", dsn)
        found = {each["name"]: each for each in overload.run(seconds=3.0, callers=800)}
    print(*found.values(), sep="\n")
    for door in ("overload", "overload.grpc"):
        admitted, refused = found[f"{door}.admitted"], found[f"{door}.refused"]
        assert admitted["value"] > 0 and refused["value"] > 0 and refused["other"] == {}
        assert refused["with_retry_after"] == refused["value"], "each refusal says when to come again"
        assert admitted["admitted_of"]["low"] < admitted["admitted_of"]["usual"], "the unimportant is shed first"
        running = found[f"{door}.running"]
        # of a server that only had to shed the unimportant both are whole
        assert running["share"] == 1.0 or running["share"] > admitted["admitted_of"]["usual"], "work on what runs is shed last"
        assert found[f"{door}.memory"]["value"] < 100, "MiB: memory stays bounded"
