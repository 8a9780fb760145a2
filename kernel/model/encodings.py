"""Texts of model files, whatever their encoding (XML 1.0, 4.3.3 and appendix F)."""

from __future__ import annotations

import re

_DECLARED = re.compile(r"""\s*<\?xml\b[^>]*?(\s+encoding\s*=\s*["']([A-Za-z][A-Za-z0-9._\-]*)["'])""")
#: first bytes -> encoding, byte order marks first (XML 1.0, appendix F)
_SIGNS = (
    (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"<\0\0\0", "utf-32-le"), (b"\0\0\0<", "utf-32-be"),
    (b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"),
)  # fmt: skip
#: `<?xm` in EBCDIC: which of its kinds stands in the declaration, whose characters are the same in all
_EBCDIC = b"\x4c\x6f\xa7\x94"
#: encodings of Python alone, and one that XML's readers leave alone since it hides characters
_NONE_OF_XML = frozenset("unicodeescape rawunicodeescape idna punycode undefined mbcs dbcs ansi oem utf7 u7 unicode11utf7".split())


def decode(data: bytes) -> str:
    """The text of a file: by its byte order mark, else by what its XML declaration says, else UTF-8. Raises: ValueError (says what was expected)."""
    encoding = next((name for sign, name in _SIGNS if data.startswith(sign)), "")
    if not encoding:
        declared = _DECLARED.match(data[:400].decode("cp037" if data.startswith(_EBCDIC) else "latin-1"))
        encoding = declared[2] if declared else "utf-8"
        if encoding.lower().startswith(("utf-16", "utf-32")):
            encoding = "utf-8"  # a declaration that can be read byte by byte is none of these
    try:
        if re.sub(r"[^a-z0-9]", "", encoding.lower()) in _NONE_OF_XML:
            raise LookupError
        return data.decode(encoding)
    except LookupError:
        raise ValueError(f"the encoding {encoding} is unknown") from None
    except UnicodeDecodeError as e:
        raise ValueError(f"the file must be text in {encoding.removesuffix('-sig').upper()}: byte {e.start} isn't") from None


def bytewise(data: bytes) -> bytes:
    """A file that can be read byte by byte: UTF-16, UTF-32 and EBCDIC become UTF-8, all else is left to the XML parser."""
    if data[:2] not in (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<", b"\0\0", _EBCDIC[:2]):
        return data
    try:
        return utf8(decode(data))
    except ValueError:
        return data


def utf8(text: str) -> bytes:
    """A text as bytes to be parsed: a declaration of another encoding, which a text no longer has, is taken out."""
    declared = _DECLARED.match(text[:400])
    if declared is not None and declared[2].lower() != "utf-8":
        text = text[: declared.start(1)] + text[declared.end(1) :]
    return text.encode()
