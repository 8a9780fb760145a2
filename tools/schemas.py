"""Write `schemas/avro/*.avsc` and the golden samples from the event catalogue. A version that is already there is never changed: a new
shape is a new version."""

import json
import sys
from pathlib import Path

from flowledger.events import avro
from flowledger.events.base import Envelope
from flowledger.events.wire import WIRE

ROOT = Path(__file__).resolve().parent.parent
AVRO, GOLDEN = ROOT / "schemas" / "avro", ROOT / "schemas" / "golden"
SAMPLES = {"long": 2251799813685249, "string": "text", "boolean": False, "bytes": b"\x01\x02", "json": {"amount": 12, "items": ["a"]}, "longs": [1, 300], "strings": ["a"]}
ENVELOPE = Envelope(1_763_728_000_000_000, "acme", "ada", "0-41", "order-7", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


def sample(cls: type) -> object:
    return cls(**{name: SAMPLES[kind] for name, kind in avro.fields_of(cls)})


def main() -> int:
    AVRO.mkdir(parents=True, exist_ok=True)
    GOLDEN.mkdir(parents=True, exist_ok=True)
    wrong = []
    ids = {}
    for cls, (number, name, version) in WIRE.items():
        schema = json.dumps(avro.schema_of(cls), indent=1) + "\n"
        golden = avro.encode([sample(cls)], ENVELOPE)[0].hex() + "\n"
        ids[str(number << 8 | version)] = f"{name}.v{version}"
        for path, text in ((AVRO / f"{name}.v{version}.avsc", schema), (GOLDEN / f"{name}.v{version}.hex", golden)):
            if not path.exists() or "--unreleased" in sys.argv:
                path.write_text(text)
            elif path.read_text() != text and (path.suffix == ".hex" or json.loads(path.read_text())["fields"] != json.loads(text)["fields"]):
                wrong.append(path.name)
            else:
                path.write_text(text)
    (AVRO / "ids.json").write_text(json.dumps(ids, indent=1) + "\n")
    if wrong:
        print("changed after release (raise the version and add an upcaster):", *wrong, sep="\n  ")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
