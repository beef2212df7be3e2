"""
Breaks one promise at a time, in every process, and shows that a test fails for it.

`scripts/test mutants` calls it; it takes about ten minutes. Exit code 1 when a mutant survives.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
PATCHES = TESTS / "patches"

# A patch of patches.py, and the test that must notice it.
MUTANTS = {
    "no_confirms": "chaos/test_broker.py::test_what_the_relay_sends_is_swallowed_by_the_network",
    "no_fence": "integration/test_ledger.py::test_a_worker_that_lost_its_lease_settles_nothing",
    "no_claim_token": "integration/test_fence.py",
    "silent_fence": "integration/test_round_trip.py::"
    "test_a_lost_fence_undoes_what_was_stored_in_the_same_transaction",
    "unguarded_batch": "integration/test_claims_together.py::"
    "test_what_cannot_be_claimed_costs_the_others_of_its_batch_nothing",
    "waiting_batch": "integration/test_claims_together.py::"
    "test_a_job_that_another_transaction_has_locked_keeps_no_other_waiting",
    "no_unique_key": "chaos/test_scheduler.py::"
    "test_ten_planners_and_two_schedulers_do_everything_once",
    "own_limiter": "integration/test_pace.py",
    "early_ack": "chaos/test_kills.py::test_killed[worker, before it commits the claim]",
    "hasty_takeover": "integration/test_deaths.py::"
    "test_nothing_is_taken_from_a_worker_whose_connections_are_cut_a_hundred_times",
    "blind_takeover": "integration/test_deaths.py::"
    "test_a_worker_with_a_lifeline_keeps_its_jobs_though_it_renews_nothing",
    "no_redaction": "unit/test_logs.py",
    "believed_gateways": "integration/test_gateways.py",
}


def main() -> int:
    """Run each test as it is, which must pass, and then with its patch, which must not."""
    survived = []
    for patch, test in MUTANTS.items():
        sound = _pytest(test)
        broken = _pytest(test, PYTHONPATH=str(PATCHES), TEST_PATCH=patch)
        killed = sound.returncode == 0 and re.search(r"^\d+ failed", broken.stdout, re.MULTILINE)
        print(f"{patch}: {'killed' if killed else 'SURVIVED'} by {test}", flush=True)
        if killed:
            print(*_reasons(broken.stdout), sep="\n", flush=True)
        else:
            print(sound.stdout[-2000:], broken.stdout[-2000:], broken.stderr[-2000:], sep="\n")
            survived.append(patch)
    return 1 if survived else 0


def _pytest(test: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # A patch imports what it changes before pytest could rewrite the asserts in it: none are there.
    quiet = ["-q", "--no-header", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *quiet, f"{TESTS}/{test}"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def _reasons(said: str, *, most: int = 3) -> list[str]:
    """Give the first lines in which pytest says what was wrong."""
    return [f"  {line[:160]}" for line in said.splitlines() if line.startswith("E  ")][:most]


if __name__ == "__main__":
    raise SystemExit(main())
