"""
Log lines: events with facts, one per line, and never a secret.

Everything goes through the standard library's root logger, so that what dramatiq, pika, uvicorn,
apscheduler and sqlalchemy write gets the same shape. Redaction is the last step before rendering:
a traceback is text by then, and an object is its `repr`.
"""

import logging
import re
import sys
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import TextIO
from uuid import UUID

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from ifood_actors.config.loading import stderr_is_journal
from ifood_actors.masking import MASK

# Why a process ends: the sentence that a terminal shows as well. It names settings, which redaction
# by names would take for their values; everything else is masked in it as well.
FAILED = "process.failed"
DEEPEST = 6  # levels of nested values; what lies deeper is shown as text

# Libraries that narrate: httpx writes every URL, pika every step of a connection.
QUIET = {
    # Seven lines, with tracebacks, for each refused connection; the error that is raised says it.
    "pika": logging.CRITICAL,
    # It and the libraries that it sends by may log what they send, and to whom: the address of a
    # webhook is its secret. Our own line says whether it arrived.
    "apprise": logging.CRITICAL,
    "urllib3": logging.CRITICAL,
    "requests": logging.CRITICAL,
    "requests_oauthlib": logging.CRITICAL,
    "oauthlib": logging.CRITICAL,
    "charset_normalizer": logging.CRITICAL,
    # A warning for every tick that is swallowed because the one before still runs.
    "apscheduler": logging.ERROR,
    "sqlalchemy": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "asyncio": logging.WARNING,
}

_SECRET_NAME = re.compile(
    "secret|token|passw(?:or)?d|authorization|api_?key|encryption_?key|credential|cookie"
    "|user_?code|verifier",
    re.IGNORECASE,
)
# Each repetition is bounded, so that a text of any length costs linear time.
_SECRETS_BY_PLACE = (
    (re.compile(r"(://[^\s/:@]{0,256}:)[^\s\"'<>]{1,512}@"), rf"\1{MASK}@"),
    (re.compile(r"\b(bearer|basic) +[\w.~+/=-]{4,4096}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"eyJ[\w-]{5,4096}(?:\.[\w-]{0,4096}){0,4}"), MASK),
)
_SECRETS_BY_NAME = (
    re.compile(
        rf"((?:{_SECRET_NAME.pattern})[\w-]{{0,40}}[\"']?\s?[=:]\s?)"
        r"(?:\"[^\"]{0,4096}\"|'[^']{0,4096}'|[^\s,;&\"'{}\[\]()]{1,4096})",
        re.IGNORECASE,
    ),
    rf"\1{MASK}",
)
# Each of these patterns needs one of them: most texts, such as an id, have none.
_SIGNS = (":", "=", " ", "eyJ")
# Those of this process's settings, in all their spellings, once they are known; of the process, as
# the handlers are.
_known: list[re.Pattern[str]] = []
# C0, DEL, C1, line separators, and the marks that turn the direction of a terminal's text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CONTROL_BUT_NEWLINE = re.compile(_CONTROL.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))
_SHOWN_AS_TEXT = (UUID, date, timedelta, Decimal, Enum, PurePath)
_TRACEBACKS = ("exception", "stack")
_FACTS: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger; before `configure` it says warnings and errors only, on stderr."""
    _join_standard_library()
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def configure(
    level: str,
    *,
    hidden: Collection[str] = (),
    json: bool | None = None,
    stream: TextIO | None = None,
) -> None:
    """
    Take over all logging of this process; may be called again, and after `logging.basicConfig`.

    `stream` is stderr as it is at the call: dramatiq replaces it by a pipe in its workers. `json`
    is decided by the stream unless given: readable lines for a terminal, JSON for anything else.
    In systemd's journal each line has the priority of its level. `hidden` are texts that no line
    of this process shows from now on.
    """
    if hidden:
        longest_first = sorted(hidden, key=len, reverse=True)
        _known[:] = [re.compile("|".join(map(re.escape, longest_first)))]
    _join_standard_library()
    out = sys.stderr if stream is None else stream
    as_json = not out.isatty() if json is None else json

    handler = _Handler(out, prioritized=stream is None and stderr_is_journal())
    handler.setFormatter(_formatter(as_json=as_json, colors=out.isatty()))
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger) and logger.handlers:
            for former in tuple(logger.handlers):
                logger.removeHandler(former)
            logger.propagate = True
    logging.root.addHandler(handler)
    logging.root.setLevel(level.upper())
    logging.captureWarnings(capture=True)

    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(max(least, logging.root.level))


def redact(text: str) -> str:
    """
    Mask secrets in a text: those that are known, passwords in URLs, bearer tokens, JWTs.

    Also what follows a secret's name.
    """
    shown = _redact_by_place(text)
    if not any(sign in shown for sign in _SIGNS):
        return shown
    pattern, replacement = _SECRETS_BY_NAME
    return pattern.sub(replacement, shown)


def _redact_by_place(text: str) -> str:
    for known in _known:
        text = known.sub(MASK, text)
    if not any(sign in text for sign in _SIGNS):
        return text
    for pattern, replacement in _SECRETS_BY_PLACE:
        text = pattern.sub(replacement, text)
    return text


def _join_standard_library() -> None:
    if structlog.is_configured():  # once: loggers in use keep the processors that they began with
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,  # first: what is not written costs nothing
            *_FACTS,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,  # last: hands over to a handler
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _formatter(*, as_json: bool, colors: bool) -> logging.Formatter:
    rendering: list[Processor] = [structlog.processors.JSONRenderer(ensure_ascii=True)]
    if not as_json:
        plain = structlog.dev.plain_traceback  # rich's would show locals
        console = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)
        rendering = [_escape, console]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_FACTS,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,  # before redaction: then it is text
            _redact_event,  # after all that adds text, before all that renders it
            *rendering,
        ],
    )


def _redact_event(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    redacted = {
        name if name.isidentifier() else redact(name): _redact_named(name, value)
        for name, value in event_dict.items()
    }
    reason = event_dict.get("reason")
    if event_dict.get("event") == FAILED and isinstance(reason, str):
        redacted["reason"] = _redact_by_place(reason)
    return redacted


def _redact_named(name: object, value: object, *, depth: int = 0) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value  # `tokens=3` is a fact, not a token
    if _SECRET_NAME.search(str(name)):
        return MASK
    return _redact_value(value, depth=depth)


def _redact_value(value: object, *, depth: int) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return redact(value)
        case Mapping() if depth < DEEPEST:
            return {
                redact(str(name)): _redact_named(name, item, depth=depth + 1)
                for name, item in value.items()
            }
        case list() | tuple() | set() | frozenset() if depth < DEEPEST:
            return [_redact_value(item, depth=depth + 1) for item in value]
        case _:
            return redact(str(value) if isinstance(value, _SHOWN_AS_TEXT) else repr(value))


def _escape(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Keep a value from starting a line of its own, which could pass for a real one."""
    return {_visible(name): _escaped(name, value) for name, value in event_dict.items()}


def _escaped(name: str, value: object) -> object:
    if not isinstance(value, str):
        return _visible(str(value)) if isinstance(value, dict | list) else value
    if name not in _TRACEBACKS:
        return _visible(value)
    lines = _CONTROL_BUT_NEWLINE.sub(_as_escape, value).split("\n")
    return "\n".join(f"    {line}" for line in lines)


def _visible(text: str) -> str:
    return _CONTROL.sub(_as_escape, text)


def _as_escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


class _Handler(logging.StreamHandler[TextIO]):
    def __init__(self, stream: TextIO, *, prioritized: bool) -> None:
        super().__init__(stream)
        self._prioritized = prioritized

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, for systemd's journal with a prefix that it takes off: sd-daemon(3)."""
        line = super().format(record)
        return f"<{_priority(record.levelno)}>{line}" if self._prioritized else line

    def handle(self, record: logging.LogRecord) -> bool:
        """
        Write a record under the lock, which no interrupt can leave taken.

        Dramatiq interrupts threads (shutdown, time limit) between any two instructions. The stock
        method acquires before its `try`, and one interrupt there silenced a process for good.
        """
        if not self.filter(record):
            return False
        with self.lock or nullcontext():
            self.emit(record)
        return True

    def flush(self) -> None:
        """Flush without the stock method's own lock, for the same reason: `handle` holds it."""
        self.stream.flush()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say that a record could not be written; the stock text would print its arguments."""
        failure = logging.LogRecord(
            record.name, logging.ERROR, record.pathname, record.lineno, "log.unwritable", None, None
        )
        try:
            self.stream.write(self.format(failure) + self.terminator)
        except (OSError, ValueError):
            return  # the stream itself is closed, and no other is left


def _priority(level: int) -> int:
    """Return syslog's number for a level; 6, the journal's own choice, is `info`."""
    known = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
    return next((priority for least, priority in known if level >= least), 7)
