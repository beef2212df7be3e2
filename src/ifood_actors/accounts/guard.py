"""
No text of an export is a formula to the spreadsheet that opens it.

The characters are those of OWASP's page on CSV injection, with their full-width forms. One counts
at the start of a text, and after what another spreadsheet takes for the end of a cell, with or
without quotes between. A `'` goes before it, one that stands there already counts as part of the
text: so the guard can be taken off again, and nothing else is.
"""

import re

_DANGER = "[\"']*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_START = "(^|(?<=[,;\t\r\n]))"
# For Python and for Postgres.
FORMULA = f"{_START}(?={_DANGER})"
_TO_GUARD = re.compile(FORMULA)
_GUARDED = re.compile(f"{_START}'(?={_DANGER})")


def guarded(text: str) -> str:
    """Give a text that no spreadsheet takes for a formula."""
    return _TO_GUARD.sub("'", text)


def unguarded(text: str) -> str:
    """Give the text that was guarded; one that was not stays as it is."""
    return _GUARDED.sub("", text)
