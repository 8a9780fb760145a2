"""Files of tasks and instances over HTTP and by the command line: sent, listed, had, detached, gone when nobody needs them; and who may not have them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from asking import Caller

from flowledger.api.files import sweep
from flowledger.infra.blobs import PIECE_BYTES
from flowledger.projections.rebuild import verify
from flowledger.sdk import Flow
from flowledger.stores import make_log, source_of

MODEL = Flow("p").start().user("t").end().xml().decode()


def kept(folder: Path) -> set[str]:
    return {p.name for p in (folder / "blobs").rglob("*") if p.is_file() and len(p.name) == 64}


class Files(Caller):
    async def send(self, path: str, data: Any, kind: str = "text/plain", tenant: str = "", **headers: str) -> tuple[int, Any]:
        sent = {"X-Actor": "ann", "X-Tenant": tenant, "Content-Type": kind, **headers}
        r = await self.http.put(f"/v1/{path}", content=data, headers=sent)
        return r.status_code, r.json()

    async def had(self, path: str, tenant: str = "", **query: str) -> Any:
        return await self.http.get(f"/v1/{path}", headers={"X-Tenant": tenant}, params=query)

    async def begun(self, tenant: str = "") -> tuple[str, str]:
        """Keys of an instance and its task."""
        made = await self.ok("POST", "instances", {"definition": "p"}, tenant=tenant)
        [task] = (await self.ok("GET", "tasks", tenant=tenant, instance=made["id"], wait_for=made["position"]))["items"]
        return made["id"], task["id"]


@pytest.mark.req("APG-HUM-005", "D-DAT-019", "APG-CON-009")
async def test_a_file_of_a_task_and_of_an_instance(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (system, http):
        x = Files(http, place)
        for tenant in ("", "b"):
            await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}]}, tenant=tenant)
        instance, task = await x.begun()
        data = os.urandom(3 * PIECE_BYTES + 1)
        for n, place_ in enumerate((f"tasks/{task}", f"instances/{instance}")):
            path = f"{place_}/files/Vertrag ä.pdf"
            status, made = await x.send(path, data, "application/pdf")
            assert status == 201, made
            assert (made["size"], made["sha256"], made["media_type"]) == (len(data), hashlib.sha256(data).hexdigest(), "application/pdf")
            [row] = (await x.ok("GET", f"{place_}/files", wait_for=made["position"]))["items"]
            assert (row["name"], row["kept"], row["by"], row["size"]) == ("Vertrag ä.pdf", True, "ann", len(data)) and row["at"]
            r = await x.had(path)
            assert r.content == data and r.headers["content-type"] == "application/pdf"
            assert r.headers["content-disposition"] == "attachment; filename=\"Vertrag__.pdf\"; filename*=UTF-8''Vertrag%20%C3%A4.pdf"
            assert r.headers["x-content-type-options"] == "nosniff" and "sandbox" in r.headers["content-security-policy"]
            assert len(kept(tmp_path)) == 1, "the same bytes are kept once"
            # tenants are apart, whatever they know
            theirs = await x.begun("b")
            for other in (f"{place_}/files", path, f"{('tasks', 'instances')[n]}/{theirs[1 - n]}/files/Vertrag ä.pdf"):
                assert (await x.had(other, tenant="b")).status_code == 404, other
            assert (await x.send(path, b"", tenant="b"))[0] == 404
        history = (await x.ok("GET", f"instances/{instance}/events"))["items"]
        told = [e for e in history if e["type"] in ("task.updated", "workflow.files_changed")]
        assert [e["type"] for e in told] == ["task.updated", "workflow.files_changed"] and told[1]["data"]["name"] == "Vertrag ä.pdf"
        # replaced by one of its name; detached; the bytes stay for a while
        [status, made] = await x.send(f"tasks/{task}/files/Vertrag ä.pdf", b"new", "TEXT/Html; charset=x")
        [row] = (await x.ok("GET", f"tasks/{task}/files", wait_for=made["position"]))["items"]
        assert (row["size"], row["media_type"]) == (3, "text/html")
        gone = await x.ok("DELETE", f"tasks/{task}/files/Vertrag ä.pdf")
        assert (await x.ok("GET", f"tasks/{task}/files", wait_for=gone["position"]))["items"] == []
        assert (await x.ask("DELETE", f"tasks/{task}/files/Vertrag ä.pdf"))[0] == 404
        assert (await x.had(f"tasks/{task}/files/Vertrag ä.pdf")).status_code == 404
        # nothing goes before its time; then what nothing refers to
        assert await sweep(system.services) == 0 and len(kept(tmp_path)) == 2
        for path_ in (tmp_path / "blobs").rglob("*"):
            if len(path_.name) == 64:
                os.utime(path_, (1, 1))
        assert await sweep(system.services) == 1 and kept(tmp_path) == {hashlib.sha256(data).hexdigest()}
        # of an instance that has ended: still had, no more changed
        ended = await x.ok("POST", f"tasks/{task}/complete", {})
        assert (await x.had(f"instances/{instance}/files/Vertrag ä.pdf", wait_for=ended["position"])).content == data
        assert (await x.send(f"instances/{instance}/files/late", b"x"))[0] == 404
        log = make_log(system.settings)
        await log.open()
        rows = await verify(database, source_of(log, follow=False), range(2))
        await log.close()
        assert {t: r for t, r in rows.items() if not r["equal"]} == {}
        # with its rows goes the last that needs the file
        gone = await x.ok("DELETE", f"instances/{instance}")
        await x.ok("GET", "instances", wait_for=gone["position"])
        late = [p for p in (tmp_path / "blobs").rglob("*") if len(p.name) == 64]
        for path_ in late:
            os.utime(path_, (1, 1))
        assert await sweep(system.services) == 2 and kept(tmp_path) == set()


@pytest.mark.req("APG-HUM-005")
async def test_what_is_refused_and_what_breaks(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, blob_bytes_max=2048, blobs_max=3) as (system, http):
        x = Files(http, place)
        await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}]})
        instance, task = await x.begun()
        files = f"tasks/{task}/files"

        async def slowly():
            for _ in range(5):
                yield b"x" * 1000

        for data in (b"x" * 2049, slowly()):
            status, told = await x.send(f"{files}/big", data)
            assert (status, told["code"]) == (413, "BODY_TOO_LARGE"), told
        for name in ("a%2Fb", "a\\b", "x" * 256, "%00"):
            assert (await x.send(f"{files}/{name}", b"x"))[0] in (400, 404), name
        assert (await x.send(f"{files}/a", b"x", Content_Encoding="gzip"))[0] in (201, 415)
        assert (await x.http.put(f"/v1/{files}/z", content=b"x", headers={"Content-Encoding": "gzip"})).status_code == 415
        assert (await x.send(f"tasks/{int(task) + 999}/files/a", b"x"))[0] == 404
        # nobody gets a file by its hash
        status, made = await x.send(f"{files}/mine", b"secret", "nonsense")
        assert (status, made["media_type"]) == (201, "application/octet-stream")
        forged = f"stored:sha256/{made['sha256']}"
        for path, body in (
            (f"tasks/{task}/attach", {"name": "b", "uri": forged}), (f"tasks/{task}/attach", {"details": {"name": "b", "uri": forged}}),
            ("tasks", {"name": "n", "details": {"attachments": [{"name": "b", "uri": forged}]}}),
        ):  # fmt: skip
            status, told = await x.ask("POST", path, body)
            assert status == 422 and "PUT" in told["detail"], told
        # one that is kept elsewhere is told where
        await x.ok("POST", f"tasks/{task}/attach", {"name": "far", "uri": "s3://bucket/far"})
        r = await place.until(lambda: _far(x, files))
        assert r.status_code == 404 and "s3://bucket/far" in r.json()["detail"]
        # damaged on the disk: never given whole; gone: told
        [path] = [p for p in (tmp_path / "blobs").rglob(made["sha256"])]
        path.write_bytes(b"other")
        assert (await x.had(f"{files}/mine")).json()["code"] == "DAMAGED"
        path.unlink()
        r = await x.had(f"{files}/mine")
        assert (r.status_code, r.json()["code"]) == (410, "GONE")
        # a tenant has only so many; a store that is away is no error of ours
        for n in range(4):
            status, told = await x.send(f"{files}/f{n}", b"%d" % n)
        assert (status, told["code"]) == (429, "RESOURCE_EXHAUSTED")

        async def there() -> bool:  # its row
            return (await x.had(f"{files}/f0")).status_code == 200

        await place.until(there)

        def away(name: str) -> Any:
            raise OSError(5, "away")

        system.services.blobs.store.open = away
        assert (await x.had(f"{files}/f0")).status_code == 503


async def _far(x: Files, files: str) -> Any:
    r = await x.had(f"{files}/far")
    return r if "s3" in r.text else None


@pytest.mark.req("APG-HUM-005")
async def test_nothing_is_deleted_while_the_rows_are_behind(place, database, tmp_path, monkeypatch):
    async with place.system(data=tmp_path, postgres=database) as (system, http):
        x = Files(http, place)
        await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}]})
        instance, _ = await x.begun()
        await x.send(f"instances/{instance}/files/a", b"a")
        for path in (tmp_path / "blobs").rglob("*"):
            if len(path.name) == 64:
                os.utime(path, (1, 1))

        async def behind(positions: Any, timeout_s: float) -> bool:
            return False

        monkeypatch.setattr(system.services.reads, "wait_for", behind)
        assert await sweep(system.services) == 0 and len(kept(tmp_path)) == 1
