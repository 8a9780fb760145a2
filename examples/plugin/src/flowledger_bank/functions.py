"""Functions of FEEL about account numbers (ISO 13616)."""

from __future__ import annotations

from flowledger.plugin import Function


def compact(text: str) -> str:
    return text.replace(" ", "").upper()


def iban_valid(text: str) -> bool:
    """Whether the check digits are right (ISO 7064, MOD 97-10)."""
    iban = compact(text)
    if not 15 <= len(iban) <= 34 or not iban.isascii() or not iban.isalnum() or not iban[:2].isalpha() or not iban[2:4].isdigit():
        return False
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def iban_country(text: str) -> str:
    if not iban_valid(text):
        raise ValueError(f"expected an IBAN, found {text[:40]!r}")
    return compact(text)[:2]


FUNCTIONS = [
    Function(
        api=1, name="iban_valid", signature="text: string", call=iban_valid, doc="Whether a text is an IBAN",
        examples={'iban_valid("GB82 WEST 1234 5698 7654 32")': True, 'iban_valid("GB82WEST12345698765433")': False, 'iban_valid("")': False},
    ),
    Function(
        api=1, name="iban_country", signature="text: string", call=iban_country, doc="The country of an IBAN; null where it is none",
        examples={'iban_country("DE89370400440532013000")': "DE", 'iban_country("x")': None},
    ),
]  # fmt: skip
