"""`flowledger audit`: what is proven of the log, the bundle for others to check, the key that signs."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from flowledger.infra.cli.ops import settings_of, with_log
from flowledger.infra.cli.output import NO, as_json, busy, console, fail, table


def verify(config: Path | None, begin: str, end: str, expect: str, key: Path | None, json: bool, **given: Any) -> None:
    from flowledger.infra import audit

    settings = settings_of(config, **given)
    first, last = _positions(begin, "--from"), _positions(end, "--to")
    wanted = audit.Wanted(_keys(settings, key), _heads(settings, expect), signed=key is not None)

    async def work(log: Any) -> list[audit.PartitionReport]:
        with busy("reading the log") as update:
            damaged = await log.damage() if hasattr(log, "damage") else []
            reports = await audit.verify(log, first, last, lambda p, n, of: update(f"partition {p}: {n:,} of {of:,} records"), wanted)
        for text in damaged:
            reports[0].findings.append(audit.Finding("FILE_DAMAGED", "", text)) if reports else fail(text, NO)
        return reports

    reports = asyncio.run(with_log(settings, True, work))
    findings = [f for r in reports for f in r.findings]
    if json:
        as_json({"ok": not findings, "proven": proven(reports), "findings": findings, "partitions": reports})
    else:
        _tell(reports)
    if findings:
        fail("", NO)


def proven(reports: list[Any]) -> list[str]:
    """One sentence for each thing that is shown, and for what is not."""
    out = []
    for r in reports:
        if r.findings:
            continue
        name = f"partition {r.partition}"
        start = "from its first group" if r.anchored else f"from {r.partition}-{r.first} (whose chain value was taken as given)"
        out.append(f"{name}: consistent {start} to {r.partition}-{r.end}, nothing missing between")
        if r.older:
            out.append(f"{name}: of {r.older} events of an older release only the values are under the hash, not keys, headers and times")
        if r.signed_to >= 0:
            by = "a key that was given" if r.trusted else "a key that only the log names: give --key FILE to prove whose it is"
            out.append(f"{name}: signed up to {r.partition}-{r.signed_to} by {r.signer} ({by})")
            if r.end > r.signed_to:
                out.append(f"{name}: after the last signed head ({r.end - r.signed_to} records): consistent only")
        elif r.groups:
            out.append(f"{name}: not signed: whoever can write the log could have written it anew")
    return out


def _tell(reports: list[Any]) -> None:
    rows = [
        {
            "partition": r.partition, "from": r.first, "to": r.end, "groups": r.groups, "events": r.events, "void": r.void or None,
            "epoch": r.epoch, "chain": r.chain[:16], "signed to": r.signed_to if r.signed_to >= 0 else None, "key": r.signer or None,
            "result": "error" if r.findings else "ok",
        }
        for r in reports
    ]  # fmt: skip
    columns = ["partition", "from", "to", "groups", "events", "void", "epoch", "chain", "signed to", "key", "result"]
    table(rows, columns, empty="the log has no partitions")
    out = console()
    for r in reports:
        for f in r.findings:
            what = "the chain breaks at " if f.code == "CHAIN_BROKEN" else ""
            out.print(f"[red]✗[/] {what}[bold]{f.position or r.partition}[/] {f.code}: {f.text}")
    for line in proven(reports):
        out.print(f"[green]✓[/] {line}")


def _keys(settings: Any, key: Path | None) -> list[Any]:
    """Those that were asked for, else those of this installation, else none: then the log's own word is taken, and said to be."""
    from flowledger.infra.heads import key_path
    from flowledger.infra.signing import KeyUnusable, public_keys

    own = key_path(settings)
    beside = own.with_name(own.name + ".keys") if own is not None else None
    path = key if key is not None else beside if beside is not None and beside.exists() else None
    if path is None:
        return []
    try:
        return public_keys(path)
    except KeyUnusable as e:
        fail(str(e), 2)


def _heads(settings: Any, expect: str) -> list[Any]:
    """`--expect`: a head, or a file with one a line; and the heads of this installation's own anchor."""
    from flowledger.events.heads import parse_head
    from flowledger.infra.heads import heads_path

    texts = []
    for path in dict.fromkeys([heads_path(settings), *(Path(a.removeprefix("file:")) for a in settings.anchors if a.startswith("file:"))]):
        if path.exists():
            texts += path.read_text(errors="replace").splitlines()
    given = expect
    if expect and not expect.lstrip().startswith("{") and ":" not in expect:
        try:
            given = Path(expect).read_text(errors="replace")
        except OSError as e:
            fail(f"--expect: {expect}: {e.strerror}", 2, "expected a line of an anchor, PARTITION-END:CHAIN, or a file of such lines")
    try:
        return [parse_head(text) for text in [*texts, *given.splitlines()] if text.strip()]
    except ValueError as e:
        fail(f"heads: {e}", 2)


def _positions(text: str, option: str) -> dict[int, int]:
    found: dict[int, int] = {}
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"(\d+)-(\d+)", part.strip())
        if match is None:
            fail(f"{option} must be partition-offset such as 0-1200, several separated by commas; found {part!r}", 2)
        found[int(match[1])] = int(match[2])
    return found


def export(folder: Path, config: Path | None, json: bool, **given: Any) -> None:
    from flowledger.infra import bundle
    from flowledger.infra.heads import heads_path

    settings = settings_of(config, **given)
    keys, heads = _keys(settings, None), heads_path(settings)

    async def work(log: Any) -> dict[str, Any]:
        with busy("writing the bundle"):
            return await bundle.export(log, folder, keys, heads.read_bytes() if heads.exists() else b"")

    try:
        made = asyncio.run(with_log(settings, True, work))
    except OSError as e:
        fail(f"{folder}: {e.strerror}", NO)
    if json:
        as_json(made)
    else:
        console().print(
            f"[green]✓[/] {made['records']:,} records of {made['partitions']} partitions in {folder}: python tools/verify_bundle.py {folder}"
        )


def rotate(config: Path | None, json: bool, **given: Any) -> None:
    from flowledger.infra import signing
    from flowledger.infra.heads import key_path

    path = key_path(settings_of(config, **given))
    if path is None:
        fail("no key signs this log: set FLOWLEDGER_SIGNING_KEY", 2)
    try:
        key = signing.rotate(path)
    except signing.KeyUnusable as e:
        fail(str(e), NO)
    if json:
        as_json({"key": key.id, "by": key.known[-1].by, "file": str(path)})
    else:
        console().print(
            f"[green]✓[/] {path} holds the key {key.id}, named by {key.known[-1].by}; servers sign with it from their next start on"
        )


def why(position: str, config: Path | None, json: bool, **given: Any) -> None:
    from flowledger.infra.why import why

    ((partition, offset),) = _positions(position, "POSITION").items() or fail("expected a position such as 0-1200", 2)
    try:
        steps = asyncio.run(with_log(settings_of(config, **given), True, lambda log: why(log, partition, offset)))
    except LookupError as e:
        fail(str(e), NO)
    if json:
        as_json(steps)
        return
    rows = [{"position": s.position, "type": s.type, "instance": s.instance or None, "actor": s.actor, "cause": s.cause} for s in steps]
    table(rows, ["position", "type", "instance", "actor", "cause"], empty="nothing")
