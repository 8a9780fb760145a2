"""Check a bundle of `flowledger audit export` by the rules of `docs/log-protocol.md`, with Python's standard library and `cryptography` alone.

    python verify_bundle.py DIR [--key FILE]      FILE: lines of JSON with `id` and `public` (as keys.jsonl), of keys that you trust
Exit 0: consistent, nothing missing; it says up to where it is signed, and by which key. Exit 1: altered or incomplete, with the first place."""

import json
import struct
import sys
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KINDS = {257: "claim", 258: "claim", 2305: "head", 3585: "key"}  # by the id of its schema, with which an event begins
SIGNED = {"head": ("partition", "epoch", "number", "end", "chain", "signed_us", "signer"), "key": ("id", "public", "by")}


def need(holds, what):
    if not holds:
        raise ValueError(what)


def read(value, schemas):
    """The kind of an event and its fields, by its Avro schema (long, string, bytes: as hex); of other events nothing."""
    schema, data, event = int.from_bytes(value[1:5], "big"), value[5:], {}
    for field in schemas[schema]["fields"] if schema in KINDS else ():
        size = next(n for n, byte in enumerate(data, 1) if byte < 0x80)
        zigzag, data = sum((byte & 0x7F) << 7 * n for n, byte in enumerate(data[:size])), data[size:]
        event[field["name"]] = number = zigzag >> 1 ^ -(zigzag & 1)
        if field["type"] != "long":  # it is its length
            event[field["name"]], data = data[:number].decode() if field["type"] == "string" else data[:number].hex(), data[number:]
    return KINDS.get(schema), event


def chain(version, before, group):
    """The chain value of a group of records (offset, ms, key, headers, value)."""
    ms, shared, last, values = group[0][1], group[0][3][:3], group[-1][3], [r[4] for r in group]
    if version == 1:
        return sha256(before + b"".join(values)).digest()
    same = all(r[1] == ms and r[3][:3] == shared and (r is group[-1] or len(r[3]) == 3) for r in group)
    need(same, f"at {group[0][0]}: records of one group differ in headers or time")
    headers = [x for name, value in [*shared, *last[3:]] if name != "chain" for x in (name.encode(), value)]
    lengths = [len(x) for x in headers] + [n for r in group for n in (0xFFFFFFFF if r[2] is None else len(r[2]), len(r[4]))]
    head = struct.pack(f">QII{len(lengths)}I", ms, len(headers) // 2, len(group), *lengths)
    return sha256(b"".join([b"flowledger.chain.2\0", before, head, *headers, *(r[2] or b"" for r in group), *values])).digest()


def partition(p, part, folder, schemas, keys, given):
    """Answers (how many groups, of how many partitions its claims speak). Raises where it isn't what a server wrote."""
    print(f"partition {p}", end=": ")
    epoch, owner, version, before, end, said, at, counted, group, chains, signed = 0, "", 1, b"\0" * 32, 0, 0, -1, 0, [], {}, []
    for at, (offset, ms, key, headers, value) in enumerate(map(json.loads, (folder / f"partition-{p}.jsonl").open())):
        need(offset == at, f"records {at} to {offset - 1} are missing")
        headers, key, value = [(n, b64decode(v)) for n, v in headers], key if key is None else b64decode(key), b64decode(value)
        names, (kind, e) = dict(headers), read(value, schemas)
        if claims := kind == "claim" and e["epoch"] == epoch + 1:
            need(e.get("partition", -1) in (-1, p) and e.get("chain", 1) >= version, f"at {at}: of another partition, or an older chain")
            epoch, owner, version, said, group = epoch + 1, e["owner"], e.get("chain", 1), max(said, e.get("partitions", 0)), []
        elif kind == "claim" or (names.get("epoch"), names.get("owner")) != (b"%d" % epoch, owner.encode()):
            continue  # it counts for nothing
        group.append((at, ms, key, headers, value))
        if "last" in names:
            number, before, counted = len(chains) + 1, chain(version, before, group), counted + len(group)
            right = before == names.get("chain") and (version == 1 or names.get("number") == b"%d" % number)
            need(right or (claims and int(names.get("read") or -1) in range(end)), f"at {group[0][0]}: the chain breaks")
            signed += [(kind, {"partition": p, **e}) for kind, e in (read(r[4], schemas) for r in group) if kind in SIGNED]
            end, chains[number], group = at + 1, (at + 1, before.hex()), []
    need(at + 1 == part["records"] == part["end"], f"the end or the beginning is missing: {at + 1} of records 0 to {part['end']}")
    need(counted == at + 1 or not part.get("exclusive"), "records count for nothing, which this log can't have")
    signed += [("head", e) for e in map(json.loads, filter(str.strip, (folder / "heads.jsonl").open())) if e["partition"] == p]
    for kind, e in signed:
        by, text = e["signer"] if kind == "head" else e["by"] or e["id"], " ".join(f"{name}={e[name]}" for name in SIGNED[kind])
        if kind == "head":
            need(chains.get(e["number"]) == (e["end"], e["chain"]), f"the log is not what its signed head says: {text}")
        elif (by in keys or not (keys or e["by"])) and e["id"] == sha256(bytes.fromhex(e["public"])).hexdigest()[:16]:
            keys.setdefault(e["id"], e["public"])  # a key that is known vouches for the next one; where none is known, the first for itself
        need(by in keys, f"signed by no known key: {text}")
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(keys[by]))
        public.verify(bytes.fromhex(e["signature"]), f"flowledger.{kind}.1\n{text}\n".encode())
    last = max((e for kind, e in signed if kind == "head"), key=lambda e: e["end"], default=None)
    need(last or not chains or not given, "nothing is signed by the keys that were given")
    print(f"{len(chains)} groups, consistent and whole,", f"signed up to {p}-{last['end']} by {last['signer']}" if last else "not signed")
    return len(chains), said


def main(arguments):
    folder, given, manifest = Path(arguments[0]), arguments[2:], json.loads((Path(arguments[0]) / "manifest.json").read_text())
    schemas = {int(f.stem): json.loads(f.read_text()) for f in (folder / "schemas").glob("*.avsc")}
    lines = filter(str.strip, (Path(given[0]) if given else folder / "keys.jsonl").open())
    trusted = {key["id"]: key["public"] for key in map(json.loads, lines)}
    parts = [partition(p, part, folder, schemas, dict(trusted), given) for p, part in enumerate(manifest["parts"])]
    whole = manifest["partitions"] == len(parts) >= max(said for _, said in parts) and len({groups > 0 for groups, _ in parts}) == 1
    need(whole, f"partitions are missing: {parts} (groups, and how many partitions claims speak of) of {manifest['partitions']}")
    print(f"the keys are those of {given[0]}" if given else "the keys are the bundle's own: give --key FILE to prove whose they are")


if __name__ == "__main__":
    sys.tracebacklimit = 0  # whatever a false bundle raises is one line, and exit 1
    main(sys.argv[1:])
