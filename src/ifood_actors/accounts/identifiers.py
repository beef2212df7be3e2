"""
What a restaurant is known by: its merchant id at iFood, and its CNPJ.

Pure. What people's sheets make of them is understood where it can mean one thing only, and else
refused with what it looks like: a ValueError whose first argument says what is expected and whose
second, if any, what was found instead.
"""

import re
import unicodedata
from uuid import UUID

EXAMPLE = "0b9a3c5e-6f0e-4a4e-9f8e-3f1d2c3b4a59"

# What stands for `-` where a text was copied from a page or typeset: the hyphen, the one that does
# not break, figure dash, en dash, minus.
_HYPHENS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"))
# All that counts as a space, and what has no width.
_BLANKS = " \t\r\n\u00a0\u2007\u202f\u200b\u200c\u200d\u2060\ufeff"
_QUOTES = "\"'`\u00b4\u2018\u2019\u201c\u201d"
_AS_FORMULA = re.compile(r'=\s*"(.*)"')  # how a sheet is told to take a number as text
_UUID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}(\1[0-9a-f]{4}){2}\1[0-9a-f]{12}")
_CNPJ = re.compile(r"[0-9A-Z]{2}\.?[0-9A-Z]{3}\.?[0-9A-Z]{3}/?[0-9A-Z]{4}-?[0-9]{2}")
_WEIGHTS = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)  # of the second check digit; the first has 12
_ROUNDED = re.compile(r"[0-9]+([.,][0-9]+)?E\+?[0-9]+", re.IGNORECASE)
_IS_ROUNDED = "a spreadsheet has rounded this number: format the column as text, enter it again"


def merchant_id(text: str) -> str:
    """
    Return a merchant id as iFood writes it: a UUID in small letters, with hyphens.

    Raises ValueError for what is none in any spelling.
    """
    found = canonical_id(text)
    if found is None:
        raise ValueError(f"expected a merchant id such as {EXAMPLE}", *_looks_like(_bare(text)))
    return found


def canonical_id(text: str) -> str | None:
    """Return a UUID in any spelling in small letters with hyphens; None for anything else."""
    bare = _bare(text).lower().removeprefix("urn:uuid:")
    bare = bare[1:-1] if bare.startswith("{") and bare.endswith("}") else bare
    return str(UUID(bare)) if _UUID.fullmatch(bare) else None


def cnpj(text: str) -> str:
    """
    Return a CNPJ as its 14 characters, without punctuation, if the two check digits are right.

    The first twelve may be letters from July 2026 on (Receita Federal, Instrução Normativa RFB
    2.229/2024). A spreadsheet takes zeros from the front; one or two are put back, more would
    leave what may be a CPF. Raises ValueError.
    """
    bare = _bare(text).upper()
    if _ROUNDED.fullmatch(bare):
        raise ValueError("expected a CNPJ", _IS_ROUNDED)
    if re.fullmatch(r"[0-9]{12,13}", bare):
        bare = bare.zfill(14)
    found = re.sub(r"[./-]", "", bare)
    if not _CNPJ.fullmatch(bare):
        raise ValueError("expected a CNPJ such as 12.345.678/0001-95 or 12345678000195")
    if not found.strip("0") or check_digits(found[:12]) != found[12:]:
        raise ValueError("expected a CNPJ", "its check digits do not fit: a character is wrong")
    return found


def formatted_cnpj(found: str) -> str:
    """Return `12.345.678/0001-95`, which no spreadsheet takes for a number."""
    return f"{found[:2]}.{found[2:5]}.{found[5:8]}/{found[8:12]}-{found[12:]}"


def check_digits(first: str) -> str:
    """
    Return the two check digits of the first twelve characters of a CNPJ.

    Each character counts its code less 48, so that digits count what they are.
    """
    for _ in range(2):
        weights = _WEIGHTS[-len(first) :]
        rest = sum((ord(c) - 48) * weight for c, weight in zip(first, weights, strict=True)) % 11
        first += str(11 - rest) if rest > 1 else "0"
    return first[-2:]


def _bare(text: str) -> str:
    text = unicodedata.normalize("NFC", text).translate(_HYPHENS).strip(_BLANKS)
    formula = _AS_FORMULA.fullmatch(text)
    return (formula[1] if formula else text).strip(_BLANKS + _QUOTES)


def _looks_like(bare: str) -> tuple[str, ...]:
    if _ROUNDED.fullmatch(bare):
        return (_IS_ROUNDED,)
    if _CNPJ.fullmatch(bare.upper()):
        return ("this looks like a CNPJ, which belongs into the column cnpj",)
    if re.fullmatch(r"[0-9]{1,10}", bare):
        return ("this looks like the short number that iFood's portal shows for a store",)
    if re.fullmatch(r"[0-9.,/-]+", bare):
        return ("this looks like a number",)
    if re.fullmatch(r"[0-9a-fA-F-]+", bare):
        digits = sum(char != "-" for char in bare)
        return (f"groups of 8, 4, 4, 4 and 12 digits make 32, here are {digits}",)
    return ()
