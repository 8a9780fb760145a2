"""Check a bundle of `flowledger audit export` without Flowledger: Python's standard library and `cryptography` are all that it needs.

    python verify_bundle.py DIR [--key FILE]      FILE: lines of JSON with `id` and `public` (as keys.jsonl), of keys that you trust

Exit 0: consistent, nothing missing; it says up to where it is signed, and by which key. Exit 1: altered or incomplete, with the place.
The rules are those of `docs/log-protocol.md` ("Fold rules", "The chain", "Signed heads"), written down a second time on purpose.
"""

import json
import struct
import sys
from base64 import b64decode
from hashlib import sha256
from itertools import islice
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CLAIMS, HEAD, KEY = (257, 258), 2305, 3585


def need(holds, what):
    if not holds:
        raise ValueError(what)


def kind(value):
    return int.from_bytes(value[1:5], "big")


def fields(value, schemas):
    """The fields of an event by its Avro schema: long, else (string, bytes) bytes."""
    data = iter(value[5:])

    def number():
        z = shift = 0
        for byte in data:
            z, shift = z | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return (z >> 1) ^ -(z & 1)
        raise ValueError("an event ends too early")

    return {f["name"]: number() if f["type"] == "long" else bytes(islice(data, number())) for f in schemas[kind(value)]["fields"]}


def chain(version, before, group):
    """The chain value of a group of records (offset, ms, key, headers, value)."""
    if version == 1:
        return sha256(before + b"".join(r[4] for r in group)).digest()
    ms, shared, last = group[0][1], group[0][3][:3], group[-1][3]
    same = all(r[1] == ms and r[3][:3] == shared and (r is group[-1] or len(r[3]) == 3) for r in group)
    need(same, f"at {group[0][0]}: records of one group differ in headers or time")
    headers = [x for n, v in [*shared, *(h for h in last[3:] if h[0] != "chain")] for x in (n.encode(), v)]
    lengths = [len(x) for x in headers] + [x for r in group for x in (0xFFFFFFFF if r[2] is None else len(r[2]), len(r[4]))]
    head = struct.pack(f">QII{len(lengths)}I", ms, len(headers) // 2, len(group), *lengths)
    body = [*headers, *(r[2] or b"" for r in group), *(r[4] for r in group)]
    return sha256(b"".join((b"flowledger.chain.2\0", before, head, *body))).digest()


def check_key(e, keys, at):
    """A key that is known signs the next one; the first signs itself."""
    id, by, public = e["id"].decode(), e["by"].decode(), e["public"]
    need(by or id in keys or not keys, f"at {at}: nobody vouches for the key {id}")
    need(id == sha256(public).hexdigest()[:16] and (by in keys or not by), f"at {at}: the key {id} is not signed by a known key")
    text = f"flowledger.key.1\nid={id} public={public.hex()} by={by}\n"
    Ed25519PublicKey.from_public_bytes(keys[by] if by else public).verify(e["signature"], text.encode())
    keys.setdefault(id, public)


def check_head(p, h, chains, keys):
    need(chains.get(h["number"]) == (h["end"], h["chain"]), f"the log is not what the signed head {p}-{h['end']} says")
    need(h["signer"] in keys, f"the head {p}-{h['end']} is not signed by a known key")
    text = f"flowledger.head.1\npartition={p} " + " ".join(
        f"{n}={h[n]}" for n in ("epoch", "number", "end", "chain", "signed_us", "signer")
    )
    Ed25519PublicKey.from_public_bytes(keys[h["signer"]]).verify(bytes.fromhex(h["signature"]), f"{text}\n".encode())
    return h


def partition(part, folder, schemas, trusted):
    """Answers (groups, how many partitions its claims speak of, the last head that holds it). Raises where it isn't what a server wrote."""
    p, keys, version, before, epoch, owner, end, said = part["partition"], dict(trusted), 1, b"\0" * 32, 0, b"", 0, 0
    group, chains, heads, at, void = [], {}, [], -1, False
    for at, line in enumerate(lines(folder / f"partition-{p}.jsonl")):
        offset, ms, *r = line
        need(offset == at, f"records {at} to {offset - 1} are missing")
        key, headers, value = r[0] and b64decode(r[0]), [(n, b64decode(v)) for n, v in r[1]], b64decode(r[2])
        names, raced = dict(headers), False
        claim = fields(value, schemas) if kind(value) in CLAIMS else {}
        if claim.get("epoch", epoch + 1) != epoch + 1 or (not claim and (names.get("epoch"), names.get("owner")) != (b"%d" % epoch, owner)):
            void = True
            continue
        if claim:
            need(claim.get("partition", -1) in (-1, p), f"at {at}: this is the log of partition {claim.get('partition')}")
            need(claim.get("chain", 1) >= version, f"at {at}: an older chain after a newer one")
            epoch, owner, version, group = epoch + 1, claim["owner"], claim.get("chain", 1), []
            said, raced = max(said, claim.get("partitions", 0)), int(names.get("read", b"-1") or -1) in range(end)
        group.append((offset, ms, key, headers, value))
        if "last" not in names:
            continue
        number, before, end = len(chains) + 1, chain(version, before, group), at + 1
        known = before == names.get("chain") and (version == 1 or names.get("number") == b"%d" % number)
        need(raced or known, f"at {group[0][0]}: the chain breaks")
        chains[number] = (end, before.hex())
        for e in (fields(r[4], schemas) | {"at": r[0], "kind": kind(r[4])} for r in group if kind(r[4]) in (HEAD, KEY)):
            if e["kind"] == KEY:
                check_key(e, keys, e["at"])
            else:
                h = {**e, "chain": e["chain"].hex(), "signer": e["signer"].decode(), "signature": e["signature"].hex()}
                heads.append(check_head(p, h, chains, keys))
        group = []
    need(at + 1 == part["records"] == part["end"], f"the end or the beginning is missing: {at + 1} of records 0 to {part['end']}")
    need(not (part.get("exclusive") and (group or void)), "records count for nothing, which this log can't have")
    heads += [check_head(p, h, chains, keys) for h in lines(folder / "heads.jsonl") if h["partition"] == p]
    return len(chains), said, max(heads, key=lambda h: h["end"], default=None)


def lines(path):
    return [json.loads(x) for x in path.read_text().splitlines() if x.strip()]


def main(arguments):
    folder, given, wrong, speaks, there, count = Path(arguments[0]), None, [], 0, 0, 0
    try:
        given = Path(arguments[2]) if arguments[1:2] == ["--key"] else None
        manifest = json.loads((folder / "manifest.json").read_text())
        count = manifest["partitions"]
        schemas = {int(f.stem): json.loads(f.read_text()) for f in (folder / "schemas").glob("*.avsc")}
        trusted = {k["id"]: bytes.fromhex(k["public"]) for k in lines(given or folder / "keys.jsonl")}
        parts = {x["partition"]: x for x in manifest["parts"]}
    except Exception as e:  # noqa: BLE001 whatever a false bundle raises
        wrong.append(f"the bundle can't be read: {e!r}")
    for p in range(count if not wrong else 0):
        try:
            groups, said, head = partition(parts[p], folder, schemas, trusted)
            need(head or not groups or not given, "nothing is signed by the keys that were given")
            speaks, there = max(speaks, said), there + bool(groups)
            held = f"signed up to {p}-{head['end']} by {head['signer']}" if head else "not signed"
            print(f"partition {p}: {groups} groups, consistent from the first to the last; {held}")
        except Exception as e:  # noqa: BLE001 what can't be read, or bears a false signature, is wrong too
            wrong.append(f"partition {p}: {e!r}")
    if speaks > count or (0 < there < count and not wrong):
        wrong.append(f"claims speak of {speaks} partitions, {there} of {count} have records")
    whose = (
        f"the keys are those of {given}" if given else "the keys are those of the bundle itself: give --key FILE to prove whose they are"
    )
    print(*wrong or [whose], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
