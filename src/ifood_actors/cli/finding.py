"""What one check of `doctor` found."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """What one check found; `advice` says what to do, `unreachable` that a service is away."""

    check: str
    verdict: Verdict
    detail: str
    advice: str | None = None
    unreachable: bool = False
