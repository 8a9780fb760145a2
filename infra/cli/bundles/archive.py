"""A bundle as one file: a zip of `manifest.json` and the resources. The same content gives the same bytes.

Read with care, since it may come from anywhere: nothing is unpacked to a disk, names within are looked up and never followed, and no more is read than
the limits allow, whatever the file says of its own sizes.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from pathlib import Path

import msgspec

from flowledger.infra.cli.bundles.content import (
    BYTES_MAX,
    RESOURCE_BYTES_MAX,
    RESOURCES_MAX,
    Bundle,
    Defined,
    Resource,
    Setting,
    Wrong,
    checked,
    defined_in,
)

FORMAT, VERSION = "flowledger-bundle", 1
MANIFEST = "manifest.json"
MANIFEST_BYTES_MAX = 4 * 1024 * 1024
#: of the file: all resources as they are, and what a zip adds
FILE_BYTES_MAX = BYTES_MAX + MANIFEST_BYTES_MAX + RESOURCES_MAX * 4_096
#: the earliest that a zip can say: contents have no time
_TIME = (1980, 1, 1, 0, 0, 0)
_END = struct.Struct("<4s4H2LH")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    path: str
    sha256: str
    bytes: int
    definitions: list[Defined]


class _Manifest(msgspec.Struct):
    """Members that are not known are passed over: a later release may say more (triggers)."""

    format: str
    version: int
    resources: list[_Entry]
    settings: list[Setting] = []


def packed(bundle: Bundle) -> bytes:
    entries, files = [], []
    for n, r in enumerate(bundle.resources):
        path = f"resources/{n:04}-{_UNSAFE.sub('_', r.name)[-100:]}"
        entries.append(_Entry(r.name, path, r.hash, len(r.data), list(r.definitions)))
        files.append((path, r.data))
    manifest = _Manifest(FORMAT, VERSION, entries, [s for _, s in sorted(bundle.settings.items())])
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path, data in [(MANIFEST, text), *files]:
            info = zipfile.ZipInfo(path, _TIME)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, data)
    return out.getvalue()


def unpacked(data: bytes, where: str) -> Bundle:
    """Raises: Wrong."""
    _look(data, where)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(archive, where)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, struct.error, OSError, ValueError, zlib.error) as e:
        raise Wrong(f"{where}: a bundle (a zip file) was expected, and this can't be read: {e}") from None


def _look(data: bytes, where: str) -> None:
    """How many entries it says that it has, before any is read."""
    if len(data) > FILE_BYTES_MAX:
        raise Wrong(f"{where}: expected at most {FILE_BYTES_MAX} bytes, found {len(data)}")
    at = data.rfind(b"PK\5\6", max(0, len(data) - 65_557))
    if at < 0 or len(data) < at + _END.size:
        raise Wrong(f"{where}: a bundle (a zip file) was expected, found something else")
    _, _, _, here, entries, size, _, _ = _END.unpack_from(data, at)
    if max(here, entries) > RESOURCES_MAX + 1 or size > MANIFEST_BYTES_MAX:
        raise Wrong(f"{where}: expected at most {RESOURCES_MAX} resources, found {entries} entries")


def _read(archive: zipfile.ZipFile, where: str) -> Bundle:
    infos = {}
    for info in archive.infolist():
        if info.filename in infos:
            raise Wrong(f"{where}: '{info.filename}' stands there twice")
        infos[info.filename] = info
    if len(infos) > RESOURCES_MAX + 1:
        raise Wrong(f"{where}: expected at most {RESOURCES_MAX} resources, found {len(infos)} entries")
    if MANIFEST not in infos:
        raise Wrong(f"{where}: expected '{MANIFEST}' in it, found none: it is no bundle")
    try:
        manifest = msgspec.json.decode(_bounded(archive, infos.pop(MANIFEST), MANIFEST_BYTES_MAX, where), type=_Manifest)
    except msgspec.MsgspecError as e:
        raise Wrong(f"{where}: {MANIFEST}: {e}") from None
    if (manifest.format, manifest.version) != (FORMAT, VERSION):
        raise Wrong(f"{where}: expected the format {FORMAT} {VERSION}, found {manifest.format[:40]} {manifest.version}")
    if set(infos) != {e.path for e in manifest.resources} or len(infos) != len(manifest.resources):
        odd = sorted(set(infos) ^ {e.path for e in manifest.resources})
        raise Wrong(
            f"{where}: expected the files that {MANIFEST} names, each once; it differs in {', '.join(odd[:5]) or 'one that is named twice'}"
        )
    left, resources = BYTES_MAX, []
    for entry in manifest.resources:
        data = _bounded(archive, infos[entry.path], min(RESOURCE_BYTES_MAX, left), where)
        left -= len(data)
        try:
            made = Resource(entry.name, data.decode(), tuple(entry.definitions))
        except UnicodeDecodeError:
            raise Wrong(f"{where}: '{entry.name}' must be text in UTF-8") from None
        if made.data != data or made.hash != entry.sha256 or len(data) != entry.bytes:
            raise Wrong(f"{where}: '{entry.name}' isn't what {MANIFEST} says: it was changed or is damaged")
        defined = {(d.kind, d.id) for d in defined_in(made.name, made.content)[0] or ()}
        if not defined or defined != {(d.kind, d.id) for d in made.definitions}:
            raise Wrong(f"{where}: '{entry.name}' doesn't define what {MANIFEST} says")
        resources.append(made)
    return checked(resources, manifest.settings, where)


def _bounded(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int, where: str) -> bytes:
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Wrong(f"{where}: '{info.filename}' is encrypted, or packed in a way that isn't read")
    if info.file_size > most:
        raise Wrong(f"{where}: expected at most {most} bytes of '{info.filename}', found {info.file_size}")
    with archive.open(info) as f:
        data = f.read(most + 1)
    if len(data) > most:
        raise Wrong(f"{where}: expected at most {most} bytes of '{info.filename}', found more than it says")
    return data


def load(file: Path) -> Bundle:
    """Raises: Wrong."""
    try:
        with file.open("rb") as f:
            data = f.read(FILE_BYTES_MAX + 1)
    except OSError as e:
        raise Wrong(f"{file}: {e.strerror}") from None
    return unpacked(data, str(file))


def save(bundle: Bundle, file: Path) -> int:
    """Whole or not at all. Returns the bytes. Raises: Wrong."""
    data = packed(bundle)
    beside = file.with_name(f".{file.name}.part")
    try:
        beside.write_bytes(data)
        beside.replace(file)
    except OSError as e:
        beside.unlink(missing_ok=True)
        raise Wrong(f"{file}: {e.strerror}") from None
    return len(data)
