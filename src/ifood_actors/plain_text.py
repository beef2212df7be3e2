"""Text from outside, made fit for one line of a log, a column or a terminal."""

_LONGEST_QUOTE = 60


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or the name of its class if it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def one_line(text: str, *, most: int) -> str:
    """
    Return text on one line: printable, with single spaces, at most `most` characters.

    So it cannot forge a line of a log. Of a text that may be megabytes long, twenty times as much
    is looked at.
    """
    shown = "".join(char if char.isprintable() else " " for char in text[: 20 * most])
    return " ".join(shown.split())[:most]


def quoted(text: str) -> str:
    """Return what was found, in quotes, on one line, and no more of it than a person reads."""
    return repr(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}...")


def printable(text: str) -> str:
    """Return text in which a replacement character stands for what could act on a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)
