"""What the simulator was asked, in order, for tests and the demo's report."""

from collections import deque
from dataclasses import asdict, dataclass
from urllib.parse import parse_qsl, urlencode

_KEPT = 100_000
_SHOWN = frozenset(
    {
        "page",
        "size",
        "beginSalesDate",
        "endSalesDate",
        "beginCalculationDate",
        "endCalculationDate",
        "beginPaymentDate",
        "endPaymentDate",
        "beginAnticipatedPaymentDate",
        "endAnticipatedPaymentDate",
        "beginDate",
        "endDate",
    }
)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One request and its answer. `at` is seconds since 1970, when the request arrived."""

    sequence: int
    at: float
    client_id: str
    group: str
    merchant: str | None
    method: str
    path: str
    query: str
    status: int
    """0 when no status line was sent."""
    trouble: str | None
    """The fault, or `fault.` and its name for one that came by itself, that shaped the answer."""


class Journal:
    """The last requests; older ones are forgotten, their numbers stay used."""

    def __init__(self) -> None:
        self._entries: deque[JournalEntry] = deque(maxlen=_KEPT)
        self._sequence = 0

    def write(
        self,
        *,
        at: float,
        client_id: str,
        group: str,
        merchant: str | None,
        method: str,
        path: str,
        query: str,
        status: int,
        trouble: str | None,
    ) -> None:
        """Add a request; of its query, values that could be a secret are left out."""
        self._sequence += 1
        self._entries.append(
            JournalEntry(
                self._sequence,
                at,
                client_id,
                group,
                merchant,
                method,
                path,
                _harmless(query),
                status,
                trouble,
            )
        )

    def since(self, sequence: int) -> list[dict[str, object]]:
        """Entries with a greater number than `sequence`, oldest first."""
        return [asdict(entry) for entry in self._entries if entry.sequence > sequence]


def _harmless(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([(name, value if name in _SHOWN else "***") for name, value in pairs])
