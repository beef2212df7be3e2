"""
What must be true of a world after every scenario, whatever died in it.

The witnesses are the ledger, its history, the stored records, the simulator's journal, what passed
the proxies, the queues and the logs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

import pika
import simplejson
from chaos.world import Asked, World
from sqlalchemy import make_url
from support.clock import eventually
from support.logins import PASSWORD
from support.transitions import ALLOWED
from support.world import KEY

from ifood_actors.broker import topology
from ifood_actors.kinds import KINDS, queue_name
from ifood_actors.ledger.states import FINAL, Act, JobStatus

Row = Mapping[str, Any]

_SETTLED = {Act.SUCCEED, Act.RETRY, Act.FAIL}


def check(
    world: World, *, frozen: bool = False, once: bool = False, ends: Iterable[str] = ("success",)
) -> None:
    """
    Judge everything; `ends` are the statuses in which jobs of the last run may have ended.

    With `frozen`, a worker slept longer than its lease: then two may ask for one job's data. With
    `once`, no job of the last run may have been charged a second attempt.
    """
    every_job_ended_once(world, ends=set(ends))
    every_history_is_a_legal_chain(world)
    records_equal_the_truth(world)
    the_limit_was_kept(world)
    the_queues_are_empty(world)
    no_secret_is_logged(world)
    if not frozen:
        no_two_ran_one_job(world.asked)
    if once:
        no_attempt_was_lost(world)


def every_job_ended_once(world: World, *, ends: set[str]) -> None:
    for kind, day in world.runs:
        jobs = _jobs(world, kind, day)
        assert Counter(job["merchant_id"] for job in jobs) == {
            merchant.id: 1 for merchant in world.simulator.merchants()
        }, f"{kind} {day}: one job for each store"
        assert {job["status"] for job in jobs} <= FINAL
        assert all(job["wake_at"] is None and job["lease_expires_at"] is None for job in jobs)
    last = {job["status"] for job in world.jobs()}
    assert last <= ends, f"ended {last}, not {ends}"


def every_history_is_a_legal_chain(world: World) -> None:
    """
    Compare each job's row with its history.

    A run is settled by whoever made its claim, so nobody commits with an older lease; and charged
    are the claims, without those that were given back by a snooze.
    """
    events = world.rows(
        "SELECT event.*, job.status, job.attempts, job.lease_no FROM ifood_job_events AS event"
        " JOIN ifood_jobs AS job ON job.id = event.job_id ORDER BY job_id, event_no"
    )
    for _, group in groupby(events, key=lambda event: event["job_id"]):
        _check_chain(list(group))


def _check_chain(chain: Sequence[Row]) -> None:
    status: JobStatus | None = None
    attempts = claims = 0
    claimant = None
    for number, event in enumerate(chain, start=1):
        act, target = Act(event["act"]), JobStatus(event["to_status"])
        assert event["event_no"] == number, chain
        assert event["from_status"] == status, chain
        assert (act, status, target) in ALLOWED, chain
        match act:
            case Act.CLAIM:
                claims, attempts, claimant = claims + 1, attempts + 1, event["actor"]
            case Act.SNOOZE if status is JobStatus.RUNNING:
                attempts -= 1
            case Act.REQUEUE:
                attempts = 0
        if status is JobStatus.RUNNING and act in _SETTLED | {Act.SNOOZE}:
            assert event["actor"] == claimant, f"settled by another than its claimant: {chain}"
        assert event["attempt"] == attempts, chain
        status = target
    last = chain[-1]
    assert (last["status"], last["attempts"], last["lease_no"]) == (status, attempts, claims), chain


def records_equal_the_truth(world: World) -> None:
    """Compare what is stored for the last run's jobs that succeeded with what iFood really has."""
    for job in world.jobs(JobStatus.SUCCESS):
        kind = KINDS[job["job_type"]]
        stored = world.rows(
            f"SELECT raw::text FROM {kind.table} WHERE merchant_id = :merchant"
            " AND missing_since IS NULL AND covered_from >= :start AND covered_to <= :end",
            merchant=job["merchant_id"],
            start=job["period_start"],
            end=job["period_end"],
        )
        served = world.simulator.truth(
            kind.resource, job["merchant_id"], job["period_start"], job["period_end"]
        )
        assert _counted(simplejson.loads(row["raw"], use_decimal=True) for row in stored) == (
            _counted(line["item"] for line in simplejson.loads(served, use_decimal=True))
        ), job


def _counted(items: Iterable[object]) -> Counter[str]:
    return Counter(simplejson.dumps(item, sort_keys=True, use_decimal=True) for item in items)


def the_limit_was_kept(world: World) -> None:
    groups: Any = world.simulator.stats()["groups"]
    [worst] = [group["worst"] for group in groups if group["group"] == "financial"]
    assert worst <= world.allowed


def no_two_ran_one_job(asked: Sequence[Asked]) -> None:
    """Tell by the proxies: once a second host asks for a job's data, the first does no more."""
    by_job = defaultdict(list)
    for one in sorted(asked):
        by_job[one.path.split("&page=")[0].split("?page=")[0]].append(one.host)
    for path, hosts in by_job.items():
        turns = [host for host, _ in groupby(hosts)]
        assert len(turns) <= len(set(turns)) + 1, f"{path}: {turns}"


def no_attempt_was_lost(world: World) -> None:
    """Unless the machine stood still for so long that leases ended by nobody's fault."""
    charged_again = world.rows(
        "SELECT array_agg(concat_ws(' ', at::time, act, actor, reason) ORDER BY event.event_no)"
        " FROM ifood_job_events AS event JOIN ifood_jobs AS job ON job.id = job_id"
        " WHERE attempts > 1 AND job.id = ANY(:ids) GROUP BY job_id",
        ids=[job["id"] for job in world.jobs()],
    )
    assert world.stalls or not charged_again


def the_queues_are_empty(world: World) -> None:
    """Only copies that nobody needs may still be in the ladder."""
    connection = pika.BlockingConnection(pika.URLParameters(world.broker_url))
    channel = connection.channel()

    def ready(name: str) -> int:
        return int(channel.queue_declare(name, passive=True).method.message_count)

    names = [*map(queue_name, KINDS), topology.UNROUTABLE]
    eventually(lambda: not any(map(ready, names)))
    connection.close()


def no_secret_is_logged(world: World) -> None:
    app = world.simulator.settings.apps[0]
    passwords = [make_url(url).password for url in (world.database_url, world.broker_url)]
    tokens = world.simulator._simulation.grants._access
    secrets = [app.client_secret, KEY, PASSWORD, *passwords, *tokens]
    for host in world.hosts.values():
        text = host.logs()
        assert text
        assert not [secret for secret in secrets if secret and secret in text], host.name


def _jobs(world: World, kind: str, day: date) -> list[dict[str, Any]]:
    return world.rows(
        "SELECT * FROM ifood_jobs WHERE job_type = :kind AND job_day = :day", kind=kind, day=day
    )
