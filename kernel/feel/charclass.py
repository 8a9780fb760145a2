"""Classes of characters for patterns: escapes, categories and blocks (XML Schema Part 2, appendix F), as classes for Python's `re`."""

from __future__ import annotations

import sys
import unicodedata
from functools import cache

_ROUND = "(?-i:{})"
_NAME_START = (
    r":A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f\u2c00-\u2fef"
    r"\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NAME = _NAME_START + r"\-.0-9\u00b7\u0300-\u036f\u203f-\u2040"
_CATEGORIES = frozenset("L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po Z Zs Zl Zp S Sm Sc Sk So C Cc Cf Co Cn".split())

#: Blocks by their names in patterns.
_BLOCKS = """BasicLatin 0 7F Latin-1Supplement 80 FF LatinExtended-A 100 17F LatinExtended-B 180 24F IPAExtensions 250 2AF
SpacingModifierLetters 2B0 2FF CombiningDiacriticalMarks 300 36F Greek 370 3FF GreekandCoptic 370 3FF Cyrillic 400 4FF
CyrillicSupplement 500 52F Armenian 530 58F Hebrew 590 5FF Arabic 600 6FF Syriac 700 74F ArabicSupplement 750 77F Thaana 780 7BF NKo 7C0 7FF
Devanagari 900 97F Bengali 980 9FF Gurmukhi A00 A7F Gujarati A80 AFF Oriya B00 B7F Tamil B80 BFF Telugu C00 C7F Kannada C80 CFF
Malayalam D00 D7F Sinhala D80 DFF Thai E00 E7F Lao E80 EFF Tibetan F00 FFF Myanmar 1000 109F Georgian 10A0 10FF HangulJamo 1100 11FF
Ethiopic 1200 137F EthiopicSupplement 1380 139F Cherokee 13A0 13FF UnifiedCanadianAboriginalSyllabics 1400 167F Ogham 1680 169F
Runic 16A0 16FF Tagalog 1700 171F Hanunoo 1720 173F Buhid 1740 175F Tagbanwa 1760 177F Khmer 1780 17FF Mongolian 1800 18AF Limbu 1900 194F
TaiLe 1950 197F NewTaiLue 1980 19DF KhmerSymbols 19E0 19FF Buginese 1A00 1A1F Balinese 1B00 1B7F PhoneticExtensions 1D00 1D7F
PhoneticExtensionsSupplement 1D80 1DBF CombiningDiacriticalMarksSupplement 1DC0 1DFF LatinExtendedAdditional 1E00 1EFF GreekExtended 1F00
1FFF
GeneralPunctuation 2000 206F SuperscriptsandSubscripts 2070 209F CurrencySymbols 20A0 20CF CombiningMarksforSymbols 20D0 20FF
CombiningDiacriticalMarksforSymbols 20D0 20FF LetterlikeSymbols 2100 214F NumberForms 2150 218F Arrows 2190 21FF
MathematicalOperators 2200 22FF MiscellaneousTechnical 2300 23FF ControlPictures 2400 243F OpticalCharacterRecognition 2440 245F
EnclosedAlphanumerics 2460 24FF BoxDrawing 2500 257F BlockElements 2580 259F GeometricShapes 25A0 25FF MiscellaneousSymbols 2600 26FF
Dingbats 2700 27BF MiscellaneousMathematicalSymbols-A 27C0 27EF SupplementalArrows-A 27F0 27FF BraillePatterns 2800 28FF
SupplementalArrows-B 2900 297F MiscellaneousMathematicalSymbols-B 2980 29FF SupplementalMathematicalOperators 2A00 2AFF
MiscellaneousSymbolsandArrows 2B00 2BFF Glagolitic 2C00 2C5F LatinExtended-C 2C60 2C7F Coptic 2C80 2CFF GeorgianSupplement 2D00 2D2F
Tifinagh 2D30 2D7F EthiopicExtended 2D80 2DDF SupplementalPunctuation 2E00 2E7F CJKRadicalsSupplement 2E80 2EFF KangxiRadicals 2F00 2FDF
IdeographicDescriptionCharacters 2FF0 2FFF CJKSymbolsandPunctuation 3000 303F Hiragana 3040 309F Katakana 30A0 30FF Bopomofo 3100 312F
HangulCompatibilityJamo 3130 318F Kanbun 3190 319F BopomofoExtended 31A0 31BF CJKStrokes 31C0 31EF KatakanaPhoneticExtensions 31F0 31FF
EnclosedCJKLettersandMonths 3200 32FF CJKCompatibility 3300 33FF CJKUnifiedIdeographsExtensionA 3400 4DBF YijingHexagramSymbols 4DC0 4DFF
CJKUnifiedIdeographs 4E00 9FFF YiSyllables A000 A48F YiRadicals A490 A4CF HangulSyllables AC00 D7A3 HighSurrogates D800 DB7F
HighPrivateUseSurrogates DB80 DBFF LowSurrogates DC00 DFFF PrivateUse E000 F8FF PrivateUseArea E000 F8FF CJKCompatibilityIdeographs F900
FAFF
AlphabeticPresentationForms FB00 FB4F ArabicPresentationForms-A FB50 FDFF VariationSelectors FE00 FE0F VerticalForms FE10 FE1F
CombiningHalfMarks FE20 FE2F CJKCompatibilityForms FE30 FE4F SmallFormVariants FE50 FE6F ArabicPresentationForms-B FE70 FEFF
HalfwidthandFullwidthForms FF00 FFEF Specials FFF0 FFFF LinearBSyllabary 10000 1007F LinearBIdeograms 10080 100FF AegeanNumbers 10100 1013F
OldItalic 10300 1032F Gothic 10330 1034F Ugaritic 10380 1039F OldPersian 103A0 103DF Deseret 10400 1044F Shavian 10450 1047F
Osmanya 10480 104AF CypriotSyllabary 10800 1083F ByzantineMusicalSymbols 1D000 1D0FF MusicalSymbols 1D100 1D1FF
MathematicalAlphanumericSymbols 1D400 1D7FF Emoticons 1F600 1F64F CJKUnifiedIdeographsExtensionB 20000 2A6DF
CJKCompatibilityIdeographsSupplement 2F800 2FA1F Tags E0000 E007F""".split()
_RANGES = {_BLOCKS[i]: (int(_BLOCKS[i + 1], 16), int(_BLOCKS[i + 2], 16)) for i in range(0, len(_BLOCKS), 3)}


def one(c: str) -> str:
    """A character as a class."""
    code = ord(c)
    return c if c.isalnum() and code < 128 else f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def plain(text: str) -> str:
    """The character of a class that `one` made, or ValueError."""
    if len(text) == 1:
        return text
    if text[:2] in ("\\x", "\\u", "\\U"):
        return chr(int(text[2:], 16))
    raise ValueError("pattern: not a single character")


def multi(c: str) -> str | None:
    """The class of an escape such as `\\s`."""
    found = {
        "s": r"[ \t\n\r]",
        "S": r"[^ \t\n\r]",
        "d": None,
        "D": None,
        "w": None,
        "W": None,
        "i": f"[{_NAME_START}]",
        "I": f"[^{_NAME_START}]",
        "c": f"[{_NAME}]",
        "C": f"[^{_NAME}]",
    }
    if c not in found:
        return None
    if c in "dD":
        return named("Nd", c == "D")
    if c in "wW":
        # All but punctuation, separators and others.
        return _ROUND.format(f"[{'^' if c == 'w' else ''}{''.join(_members(k) for k in 'PZC')}]")
    return _ROUND.format(found[c])


def named(name: str, negated: bool) -> str:
    """The class of a category or, with `Is`, of a block. Raises ValueError for an unknown one."""
    if name in _CATEGORIES:
        members = _members(name)
    elif name.startswith("Is") and name[2:] in _RANGES:
        low, high = _RANGES[name[2:]]
        members = f"{one(chr(low))}-{one(chr(high))}"
    else:
        raise ValueError(f"pattern: no property {name!r}")
    return _ROUND.format(f"[{'^' if negated else ''}{members}]")


@cache
def _by_category() -> dict[str, list[tuple[int, int]]]:
    out: dict[str, list[tuple[int, int]]] = {}
    last, start = "", 0
    for code in range(sys.maxunicode + 2):
        category = unicodedata.category(chr(code)) if code <= sys.maxunicode else ""
        if category != last:
            if last:
                out.setdefault(last, []).append((start, code - 1))
            last, start = category, code
    return out


@cache
def _members(category: str) -> str:
    ranges = sorted(r for name, found in _by_category().items() if name.startswith(category) for r in found)
    merged: list[list[int]] = []
    for low, high in ranges:
        if merged and merged[-1][1] + 1 == low:
            merged[-1][1] = high
        else:
            merged.append([low, high])
    return "".join(f"{one(chr(a))}-{one(chr(b))}" if a != b else one(chr(a)) for a, b in merged)
