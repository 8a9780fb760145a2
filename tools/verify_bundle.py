"""Check a bundle of `flowledger audit export` without Flowledger: Python's standard library and `cryptography` are all that it needs.

    python verify_bundle.py DIR [--key FILE]      FILE: lines of JSON with `id` and `public` (as keys.jsonl), of keys that you trust

Exit 0: consistent, nothing missing; it says up to where it is signed, and by which key. Exit 1: altered or incomplete, with the place.
The rules are those of `docs/log-protocol.md` ("Fold rules", "The chain", "Signed heads"), written down a second time on purpose.
"""

import base64
import hashlib
import json
import struct
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CLAIMS, HEAD, KEY = (257, 258), 2305, 3585


class Wrong(Exception):
    """The bundle is not what a server wrote, or not all of it."""


def number(data, i):
    """A zigzag integer of Avro, and where it ends."""
    z = shift = 0
    while True:
        z, shift, i = z | (data[i] & 0x7F) << shift, shift + 7, i + 1
        if data[i - 1] < 0x80:
            return (z >> 1) ^ -(z & 1), i


def fields(value, schemas):
    """The fields of an event by its schema; JSON stays bytes."""
    found, i = {}, 5
    for field in schemas[int.from_bytes(value[1:5], "big")]["fields"]:
        n, i = number(value, i)
        if field["type"] == "long":
            found[field["name"]] = n
        else:  # string, bytes
            found[field["name"]], i = value[i : i + n], i + n
            if field["type"] == "string":
                found[field["name"]] = found[field["name"]].decode()
    return found


def chain(version, before, group):
    """The chain value of a group of records (offset, ms, key, headers, value)."""
    if version == 1:
        return hashlib.sha256(before + b"".join(r[4] for r in group)).digest()
    shared, last = group[0][3][:3], group[-1][3]
    headers = [(n.encode(), v) for n, v in [*shared, *(h for h in last[3:] if h[0] != "chain")]]
    if any(r[3][:3] != shared or r[1] != group[0][1] or (r is not group[-1] and len(r[3]) != 3) for r in group):
        raise Wrong(f"at {group[0][0]}: records of one group differ in headers or time")
    lengths = [len(x) for h in headers for x in h]
    lengths += [x for r in group for x in (0xFFFFFFFF if r[2] is None else len(r[2]), len(r[4]))]
    head = struct.pack(f">QII{len(lengths)}I", group[0][1], len(headers), len(group), *lengths)
    body = b"".join(x for h in headers for x in h) + b"".join(r[2] or b"" for r in group) + b"".join(r[4] for r in group)
    return hashlib.sha256(b"flowledger.chain.2\0" + before + head + body).digest()


def signed(public, signature, message):
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def head_message(p, h):
    return (f"flowledger.head.1\npartition={p} epoch={h['epoch']} number={h['number']} end={h['end']} chain={h['chain']} "
            f"signed_us={h['signed_us']} signer={h['signer']}\n")  # fmt: skip


def records(path):
    for line in path.read_text().splitlines():
        offset, ms, key, headers, value = json.loads(line)
        yield offset, ms, None if key is None else base64.b64decode(key, validate=True), [
            (n, base64.b64decode(v, validate=True)) for n, v in headers
        ], base64.b64decode(value, validate=True)  # fmt: skip


def partition(p, part, path, schemas, trusted, named, outside):
    """Raises: Wrong. Answers (groups, how many partitions its claims speak of, the last head that holds it)."""
    keys, epoch, owner, version, before, groups, end, said = dict(trusted), 0, b"", 1, b"\0" * 32, 0, 0, 0
    group, chains, best, expected, count, void = [], {}, None, part["first"], 0, -1
    if part["first"]:
        raise Wrong(f"the beginning is missing: it starts at {part['first']}")
    for r in records(path):
        offset, _, _, headers, value = r
        if offset != expected:
            raise Wrong(f"records {expected} to {offset - 1} are missing")
        expected, count = offset + 1, count + 1
        schema, names, raced = int.from_bytes(value[1:5], "big"), dict(headers), False
        if schema in CLAIMS:
            claim = fields(value, schemas)
            if claim["epoch"] != epoch + 1:
                void = offset
                continue
            if claim.get("partition", -1) not in (-1, p):
                raise Wrong(f"at {offset}: this is the log of partition {claim['partition']}")
            if claim.get("chain", 1) < version:
                raise Wrong(f"at {offset}: an older chain after a newer one")
            epoch, owner, version, group = epoch + 1, claim["owner"].encode(), claim.get("chain", 1), []
            said, raced = max(said, claim.get("partitions", 0)), int(names.get("read", b"-1") or -1) in range(end)
        elif names.get("epoch") != b"%d" % epoch or names.get("owner") != owner:
            void = offset
            continue
        group.append(r)
        if "last" not in names:
            continue
        found, groups = chain(version, before, group), groups + 1
        if not raced and (found != names.get("chain") or (version > 1 and names.get("number") != b"%d" % groups)):
            raise Wrong(f"at {group[0][0]}: the chain breaks")
        before, end, chains[groups] = found, offset + 1, (offset + 1, found.hex())
        for at, _, _, _, v in group:
            kind = int.from_bytes(v[1:5], "big")
            if kind == KEY:
                e = fields(v, schemas)
                by = keys.get(e["by"]) if e["by"] else e["public"]
                text = f"flowledger.key.1\nid={e['id']} public={e['public'].hex()} by={e['by']}\n"
                if by is None or e["id"] != hashlib.sha256(e["public"]).hexdigest()[:16] or not signed(by, e["signature"], text):
                    raise Wrong(f"at {at}: the key {e['id']} is not signed by {e['by'] or 'itself'}")
                if not e["by"] and e["id"] not in keys and keys:
                    raise Wrong(f"at {at}: nobody vouches for the key {e['id']}")
                keys.setdefault(e["id"], e["public"])
            elif kind == HEAD:
                e = fields(v, schemas)
                best = check_head(p, {**e, "chain": e["chain"].hex()}, e["signature"], chains, keys, at)
        group = []
    if count != part["records"] or expected != part["end"]:
        raise Wrong(f"the end is missing: {count} of {part['records']} records")
    if part.get("exclusive") and (group or void >= 0):
        raise Wrong(f"records count for nothing, which this log can't have (at {void if void >= 0 else group[0][0]})")
    for h in outside:
        if h["partition"] == p:
            h = check_head(p, h, bytes.fromhex(h["signature"]), chains, keys, h["end"])
            best = h if best is None or h["end"] > best["end"] else best
    if named and groups and best is None:
        raise Wrong("nothing is signed by the keys that were given")
    return groups, said, best


def check_head(p, h, signature, chains, keys, at):
    if chains.get(h["number"]) != (h["end"], h["chain"]):
        raise Wrong(f"at {at}: the log is not what the signed head {p}-{h['end']} says")
    if h["signer"] not in keys or not signed(keys[h["signer"]], signature, head_message(p, h)):
        raise Wrong(f"at {at}: the signature of the head {p}-{h['end']} is not one of a known key")
    return h


def lines(path):
    return [json.loads(x) for x in path.read_text().splitlines() if x.strip()]


def main(arguments):
    folder = Path(arguments[0])
    given = Path(arguments[2]) if arguments[1:2] == ["--key"] else None
    wrong, speaks, there = [], 0, 0
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        schemas = {int(f.stem): json.loads(f.read_text()) for f in (folder / "schemas").glob("*.avsc")}
        trusted = {k["id"]: bytes.fromhex(k["public"]) for k in lines(given or folder / "keys.jsonl")}
        outside = lines(folder / "heads.jsonl")
        parts = {x["partition"]: x for x in manifest["parts"]}
        for p in range(manifest["partitions"]):
            try:
                groups, said, best = partition(p, parts[p], folder / f"partition-{p}.jsonl", schemas, trusted, given is not None, outside)
                speaks, there = max(speaks, said), there + bool(groups)
                held = f"signed up to {p}-{best['end']} by {best['signer']}" if best else "not signed"
                print(f"partition {p}: {groups} groups, consistent from the first to the last; {held}")
            except Exception as e:  # noqa: BLE001 - a bundle that can't be read is a bundle that is wrong
                wrong.append(f"partition {p}: {e if isinstance(e, Wrong) else repr(e)}")
        if speaks > manifest["partitions"] or (0 < there < manifest["partitions"] and not wrong):
            wrong.append(f"claims speak of {speaks} partitions, {there} of {manifest['partitions']} have records")
    except Exception as e:  # noqa: BLE001
        wrong.append(f"the bundle can't be read: {e!r}")
    print(
        *wrong or ["the keys are those of " + (str(given) if given else "the bundle itself: give --key FILE to prove whose they are")],
        sep="\n",
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
