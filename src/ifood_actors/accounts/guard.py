"""
No text of an export is a formula to the spreadsheet that opens it.

The characters are those of OWASP's page on CSV injection, with their full-width forms. One counts
at the start of a text, and after what another spreadsheet takes for the end of a cell, with or
without quotes, spaces and marks without width between: some spreadsheets take those off. A `'`
goes before them, one that stands there already counts as part of the text: so the guard can be
taken off again, and nothing else is.
"""

import re

_QUOTES = "\"'"
_SPACES = " \x0b\x0c\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_UNSEEN = "\xad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"  # byte order marks among them
_DANGER = f"[{_QUOTES}{_SPACES}{_UNSEEN}]*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_START = "(^|(?<=[,;\t\r\n]))"
# For Python and for Postgres.
FORMULA = f"{_START}(?={_DANGER})"
_TO_GUARD = re.compile(FORMULA)
_GUARDED = re.compile(f"{_START}'(?={_DANGER})")


def guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return _TO_GUARD.sub("'", text)


def unguarded(text: str) -> str:
    """Return the text that was guarded; one that was not stays as it is."""
    return _GUARDED.sub("", text)
