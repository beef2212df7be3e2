"""The closing report: what was delivered, against what the simulator says is true."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.demo.environment import Environment
from ifood_actors.kinds import KINDS
from ifood_actors.ledger import result_value

# Stores that took their permission back must fail, and nothing else may.
_EXPECTED_FAILURE = "forbidden"

Totals = dict[str, tuple[int, Decimal]]


@dataclass(frozen=True)
class KindReport:
    """One kind: its jobs, the rows that are stored, and those that the simulator served."""

    kind: str
    planned: int
    succeeded: int
    requests: int
    failed: Counter[str]
    stored: Totals
    truth: Totals
    revoked: int

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self.stored.values())

    @property
    def amount(self) -> Decimal:
        return sum((amount for _, amount in self.stored.values()), Decimal())

    @property
    def differing(self) -> list[str]:
        """Name the merchants whose rows or cents differ."""
        merchants = self.stored.keys() | self.truth.keys()
        nothing = (0, Decimal())
        return sorted(
            merchant
            for merchant in merchants
            if self.stored.get(merchant, nothing) != self.truth.get(merchant, nothing)
        )

    @property
    def problems(self) -> list[str]:
        """Say in one line each what does not add up."""
        problems = []
        if self.succeeded + self.failed.total() != self.planned:
            problems.append(f"{self.kind}: some jobs have not ended")
        if unexpected := self.failed - Counter({_EXPECTED_FAILURE: self.revoked}):
            problems.append(f"{self.kind}: unexpected failures: {dict(unexpected)}")
        if self.differing:
            problems.append(
                f"{self.kind}: {len(self.differing)} merchants differ from what was served,"
                f" such as {self.differing[0]}"
            )
        return problems


@dataclass(frozen=True)
class Report:
    """Everything that the closing screen shows."""

    kinds: list[KindReport]
    requests: int
    worst_minute: int
    limit: int
    by_status: dict[str, int]
    token_requests: int
    seconds: float

    @property
    def problems(self) -> list[str]:
        problems = [problem for kind in self.kinds for problem in kind.problems]
        if self.worst_minute > self.limit:
            problems.append(f"{self.worst_minute} requests in 60 s are above {self.limit}")
        return problems

    def facts(self) -> dict[str, object]:
        """Give everything to a program."""
        kinds = [
            {
                "kind": kind.kind,
                "planned": kind.planned,
                "succeeded": kind.succeeded,
                "failed": dict(kind.failed),
                "requests": kind.requests,
                "rows": kind.rows,
                "amount": kind.amount,
                "differing": kind.differing,
            }
            for kind in self.kinds
        ]
        return {
            "kinds": kinds,
            "requests": self.requests,
            "worst_minute": self.worst_minute,
            "limit_per_minute": self.limit,
            "by_status": self.by_status,
            "token_requests": self.token_requests,
            "seconds": round(self.seconds, 3),
            "problems": self.problems,
        }


def build_report(environment: Environment, *, monday: date, seconds: float) -> Report:
    """Compare the ledger and the records with the simulator's own account."""
    with transaction(environment.engine) as tx:
        kinds = [_kind_report(tx, environment, kind, monday=monday) for kind in KINDS]
    stats: Any = environment.simulator.stats()
    groups = {group["group"]: group for group in stats["groups"]}
    financial = groups["financial"]
    return Report(
        kinds=kinds,
        requests=financial["total"],
        worst_minute=financial["worst"],
        limit=environment.settings.rate_limit_per_minute,
        by_status=financial["by_status"],
        token_requests=groups["oauth"]["total"],
        seconds=seconds,
    )


def _kind_report(
    tx: Connection, environment: Environment, kind: str, *, monday: date
) -> KindReport:
    declared = KINDS[kind]
    period = declared.period(monday, Settings())
    lines: list[Any] = environment.simulator.truth_summary(
        declared.resource, period.start, period.end
    )
    served = {
        line["merchant"]: (line["rows"], Decimal(str(line["amount"])))
        for line in lines
        if not line.get("revoked")
    }
    return KindReport(
        kind=kind,
        planned=_count(tx, kind),
        succeeded=_count(tx, kind, "success"),
        requests=_requests(tx, kind),
        failed=_failures(tx, kind),
        stored=_stored(tx, kind, declared.amount.column),
        truth={merchant: totals for merchant, totals in served.items() if totals[0]},
        revoked=sum(1 for line in lines if line.get("revoked")),
    )


def _count(tx: Connection, kind: str, status: str | None = None) -> int:
    counted: int = tx.execute(
        text("""
            SELECT count(*) FROM ifood_jobs
            WHERE job_type = :kind AND coalesce(status = :status, true)
        """),
        {"kind": kind, "status": status},
    ).scalar_one()
    return counted


def _requests(tx: Connection, kind: str) -> int:
    counted: int = tx.execute(
        text(f"""
            SELECT coalesce(sum({result_value("requests")}), 0)::bigint FROM ifood_jobs
            WHERE job_type = :kind
        """),
        {"kind": kind},
    ).scalar_one()
    return counted


def _failures(tx: Connection, kind: str) -> Counter[str]:
    rows = tx.execute(
        text("""
            SELECT error_code, count(*) AS jobs FROM ifood_jobs
            WHERE job_type = :kind AND status = 'failed' GROUP BY error_code
        """),
        {"kind": kind},
    )
    return Counter({row.error_code: row.jobs for row in rows})


def _stored(tx: Connection, kind: str, amount: str) -> Totals:
    rows = tx.execute(
        text(f"""
            SELECT merchant_id, count(*) AS rows, sum({amount}) AS amount
            FROM {KINDS[kind].table}
            WHERE missing_since IS NULL GROUP BY merchant_id
        """)
    )
    return {row.merchant_id: (row.rows, row.amount) for row in rows}
