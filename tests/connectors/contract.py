"""What every connector is held to, whatever it speaks: a class of tests that each connector's own inherits, and the rig that it gives them.

    class TestContract(Contract):
        @pytest.fixture
        async def rig(self, ...): yield a Rig over a real server

Between the connector and the server is a wire (`wire.py`), so slow, silent and cut are the same for all.
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from flowledger.connectors.catalogue import CONFIGS
from flowledger.sdk.job import JobFailed, Result
from tests.connectors.conftest import Bench
from tests.connectors.wire import Certificates, Wire, nobody

OUT = {"resultVariable": "out"}
#: the credential that the server of a rig takes at first
SECRET = "hush-hush-first-1"


class Rig(ABC):
    """A server, and what a good call to it looks like."""

    connector = ""
    #: the server's own place: an address, or a Unix socket
    to: tuple[str, int] | str
    #: target of the input that names the secret; empty: it takes none
    secret_at = ""
    #: code of a call whose credential is wrong
    wrong_code = "AUTHENTICATION"
    #: seconds that a call gets whose connection is cut
    patience_s = 5
    #: credentials: the one that the server takes at first, one that it doesn't, and another
    first, wrong, second = SECRET, "wrong-and-hushed", "hush-hush-second-2"
    #: direct TLS (from the first byte on) can be spoken
    tls = True
    settings: dict[str, Any] = {}
    #: each good call leaves the same thing in the same place
    overwrites = False

    @abstractmethod
    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        """Inputs of a good call by way of that place."""

    def headers(self) -> dict[str, Any]:
        return {}

    def wire(self, tls: Any = None) -> Wire:
        return Wire(self.to, tls)

    async def tls_wire(self, folder: Path) -> tuple[Wire, str]:
        """A wire whose client speaks TLS to the name `server.example`, and the file of its authority."""
        authority = Certificates(folder)
        return await self.wire(authority.server("server.example")).start(), str(authority.file)

    @abstractmethod
    def checked(self, answer: Any) -> None:
        """What a good call answers."""

    async def rotate(self, value: str) -> None:
        """From now on the server takes this credential and no other. For rigs with `secret_at`."""
        pytest.fail(f"{type(self).__name__} takes a credential, and doesn't say how another one is set")

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Inputs and headers of a call whose answer has more than 2 KiB; None: its answers are always short."""
        return None

    async def effects(self) -> list[str]:
        """What the server has of calls: for each effect the key by which a second one can be told to be the same (or the effect itself, where the
        server took only one)."""
        pytest.fail(f"{type(self).__name__} doesn't say what its server has of calls")


class Contract:
    rig: Any

    @pytest.fixture
    def keys(self, tmp_path: Path, rig: Rig) -> Path:
        folder = tmp_path / "secrets"
        folder.mkdir()
        (folder / "KEY").write_text(rig.first)
        return folder

    @pytest.fixture
    async def wire(self, rig: Rig) -> AsyncIterator[Wire]:
        made = await rig.wire().start()
        yield made
        await made.close()

    @pytest.fixture
    async def run(self, rig: Rig, keys: Path) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
        made: dict[str, Bench] = {}

        async def call(
            port: int, host: str = "127.0.0.1", *, tls: bool = False, key: str = "77", given: tuple[dict[str, Any], dict[str, Any]] | None = None,
            timeout_s: int = 20, resolve: Any = None, **settings: Any,
        ) -> Any:  # fmt: skip
            name = json.dumps(settings, sort_keys=True, default=str)
            if name not in made:
                made[name] = Bench(
                    rig.connector,
                    **{"egress_private": ("127.0.0.1", "::1"), "secrets": (f"folder:{keys}",), **rig.settings, **settings},
                )
            if resolve is not None:
                made[name].runner.gate._resolve = resolve
            variables, headers = given or (rig.call(host, port, tls), rig.headers())
            told = {rig.secret_at: ["KEY"]} if rig.secret_at else None
            answer = await made[name]({**variables, "timeoutInSeconds": timeout_s}, {**headers, **OUT}, told, key=key)
            return (answer.variables if isinstance(answer, Result) else answer)["out"]

        call.benches = made  # type: ignore[attr-defined]
        yield call
        for each in made.values():
            await each.runner.close()

    @staticmethod
    async def failed(call: Awaitable[Any]) -> JobFailed:
        with pytest.raises(JobFailed) as e:
            await call
        return e.value

    # --- well -------------------------------------------------------------------------------------------------------

    @pytest.mark.req("D-CON-002")
    async def test_it_does_what_it_should(self, rig: Rig, run, wire: Wire, capsys):
        rig.checked(await run(wire.port))
        (bench,) = run.benches.values()
        text = bench.telemetry.metrics.text()[0].decode()
        assert f'connector="{rig.connector}",outcome="done"' in text and str(wire.port) in text
        assert rig.first not in text + "".join(capsys.readouterr())

    async def test_several_at_once(self, rig: Rig, run, wire: Wire):
        for answer in await asyncio.gather(*(run(wire.port, key=str(100 + i)) for i in range(8))):
            rig.checked(answer)

    @pytest.mark.req("APG-RES-006")
    async def test_delivered_twice_it_can_be_told(self, rig: Rig, run, wire: Wire):
        for _ in range(2):
            rig.checked(await run(wire.port, key="4711"))
        rig.checked(await run(wire.port, key="4712"))
        found = await rig.effects()
        assert len(set(found)) == 2, found

    # --- classes of errors ------------------------------------------------------------------------------------------

    async def test_nobody_listens(self, rig: Rig, run):
        found = await self.failed(run(await nobody()))
        assert (found.code, found.retries) == ("CONNECT", None)

    async def test_a_name_without_an_address(self, rig: Rig, run):
        async def resolve(host: str, port: int) -> list[str]:
            raise OSError("no such name")

        found = await self.failed(run(1, "gone.example", resolve=resolve))
        assert (found.code, found.retries) == ("UNRESOLVED", None)

    async def test_silent(self, rig: Rig, run, wire: Wire):
        wire.mode = "hold"
        began = time.monotonic()
        found = await self.failed(run(wire.port, timeout_s=1))
        assert found.code in ("TIMEOUT", "CONNECT_TIMEOUT") and found.retries is None
        assert time.monotonic() - began < 20

    async def test_slow_bytes_win_no_time(self, rig: Rig, run, wire: Wire):
        """Something comes all the while, five bytes a second: what counts is the time of the whole call."""
        wire.mode = "slow"
        began = time.monotonic()
        found = await self.failed(run(wire.port, timeout_s=1))
        assert found.code in ("TIMEOUT", "CONNECT_TIMEOUT") and found.retries is None, (found.code, found.message)
        assert time.monotonic() - began < 20

    @pytest.mark.req("APG-RES-006")
    async def test_killed_with_the_answer_under_way(self, rig: Rig, run, wire: Wire):
        """Whoever calls dies while the answer comes; another does the same work by the same key: its effect is there once, or can be told to be the same."""
        rig.checked(await run(wire.port, key="4711"))
        seen = set(await rig.effects())  # of a queue they are gone then
        before = len(seen)
        wire.mode, wire.budget = "stall", int(wire.back * 0.9)
        await self._afresh(run)
        dying = asyncio.ensure_future(run(wire.port, key="4713"))
        async with asyncio.timeout(30):
            while not (wire.stalled or dying.done()):
                await asyncio.sleep(0.02)
        dying.cancel()
        await asyncio.wait({dying})
        wire.mode = "pass"
        await self._afresh(run)
        rig.checked(await run(wire.port, key="4713"))
        seen |= set(await rig.effects())
        assert len(seen) == before + (not rig.overwrites), seen

    @staticmethod
    async def _afresh(run: Any) -> None:
        """What is kept open is gone."""
        for bench in run.benches.values():
            await bench.runner.close()
        run.benches.clear()

    async def test_dropped(self, rig: Rig, run, wire: Wire):
        wire.mode = "drop"
        found = await self.failed(run(wire.port, timeout_s=rig.patience_s))
        assert found.code in ("CUT", "CONNECT") and found.retries is None, found.message

    async def test_cut_anywhere_it_is_tried_again(self, rig: Rig, run, wire: Wire):
        """Cut after a share of what the server says in a good call: it is done, or tried again; never an incident, never a defect, never held up."""
        rig.checked(await run(wire.port))
        whole = wire.back
        wire.mode = "cut"
        seen = set()
        for share in (0.0, 0.3, 0.6, 0.9):
            wire.budget = int(whole * share)
            await self._afresh(run)
            try:
                await run(wire.port, timeout_s=rig.patience_s)
                seen.add("done")
            except JobFailed as e:
                assert e.code in ("CUT", "CONNECT", "TIMEOUT", "CONNECT_TIMEOUT") and e.retries is None, (share, e.code, e.message)
                seen.add(e.code)
        assert seen - {"done"}

    async def test_too_large(self, rig: Rig, run, wire: Wire):
        given = rig.big("127.0.0.1", wire.port)
        if given is None:
            return
        found = await self.failed(run(wire.port, given=given, connector_answer_bytes_max=1024))
        assert (found.code, found.retries) == ("ANSWER_TOO_LARGE", 0)

    # --- credentials ------------------------------------------------------------------------------------------------

    async def test_a_wrong_secret_then_the_right_one(self, rig: Rig, run, wire: Wire, keys: Path, capsys):
        if not rig.secret_at:
            return
        (keys / "KEY").write_text(rig.wrong)
        found = await self.failed(run(wire.port))
        assert (found.code, found.retries) == (rig.wrong_code, 0), found.message
        assert rig.wrong not in found.message + "".join(capsys.readouterr())
        (keys / "KEY").write_text(rig.first)
        rig.checked(await run(wire.port))

    async def test_a_rotated_secret_is_used_by_the_next_call(self, rig: Rig, run, wire: Wire, keys: Path):
        if not rig.secret_at:
            return
        rig.checked(await run(wire.port))
        await rig.rotate(rig.second)
        try:
            (keys / "KEY").write_text(rig.second)
            rig.checked(await run(wire.port))
        finally:
            await rig.rotate(rig.first)

    # --- where it may go --------------------------------------------------------------------------------------------

    @pytest.mark.req("APG-SEC-007")
    @pytest.mark.parametrize("host", ["127.0.0.1", "inside.example", "rebound.example"])
    async def test_private_addresses_are_refused(self, rig: Rig, run, wire: Wire, host: str):
        async def resolve(name: str, port: int) -> list[str]:
            return ["127.0.0.1"] if name == "inside.example" else ["93.184.216.34", "10.0.0.1"]

        found = await self.failed(run(wire.port, host, egress_private=(), resolve=resolve))
        assert (found.code, found.retries) == ("EGRESS_REFUSED", 0), found.message
        assert wire.connections == 0

    @pytest.mark.req("APG-SEC-007")
    async def test_what_no_rule_allows_is_refused(self, rig: Rig, run, wire: Wire):
        found = await self.failed(run(wire.port, "elsewhere.example", egress_allow=("api.example",), egress_private=()))
        assert (found.code, found.retries) == ("EGRESS_REFUSED", 0) and wire.connections == 0

    async def test_it_connects_to_the_address_that_was_checked(self, rig: Rig, run, wire: Wire):
        """The name is looked up once for a connection: an answer that changes leads nowhere else."""
        asked = []

        async def resolve(name: str, port: int) -> list[str]:
            asked.append(name)
            return ["127.0.0.1"]

        rig.checked(await run(wire.port, "server.example", resolve=resolve))
        assert set(asked) == {"server.example"} and wire.connections >= 1

    # --- TLS --------------------------------------------------------------------------------------------------------

    async def test_tls_is_checked(self, rig: Rig, run, tmp_path: Path):
        if not rig.tls:
            return

        async def resolve(name: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        wire, authority = await rig.tls_wire(tmp_path)
        try:
            for host, settings in (("server.example", {}), ("other.example", {"egress_ca_file": authority})):
                found = await self.failed(run(wire.port, host, tls=True, resolve=resolve, **settings))
                assert (found.code, found.retries) == ("TLS", 0), (host, found.code, found.message)
            rig.checked(await run(wire.port, "server.example", tls=True, resolve=resolve, egress_ca_file=authority))
        finally:
            await wire.close()

    # --- configuration ----------------------------------------------------------------------------------------------

    async def test_what_it_does_not_know_is_refused_before_anything_is_called(self, rig: Rig, run, wire: Wire):
        found = await self.failed(run(wire.port, given=({}, {})))
        assert (found.code, found.retries) == ("CONFIGURATION", 0) and wire.connections == 0

    def test_it_stands_in_the_catalogue_with_words(self, rig: Rig):
        config = CONFIGS[rig.connector]
        assert config.__doc__ and config.model_config.get("title")
        for name, field in config.model_fields.items():
            assert field.title and field.description, name
