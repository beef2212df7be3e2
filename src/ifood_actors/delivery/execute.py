"""The story of one delivery, from the claim to the stored records."""

from dataclasses import replace
from time import monotonic
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from ifood_actors import metrics
from ifood_actors.db import repeated
from ifood_actors.delivery import context
from ifood_actors.delivery.admission import Admission
from ifood_actors.delivery.claims import Claims
from ifood_actors.delivery.leases import Leases
from ifood_actors.delivery.messages import JobMessage
from ifood_actors.errors import CredentialsRefused
from ifood_actors.feeds import FEEDS, Origin
from ifood_actors.ifood.http import ApiIdentity, IfoodClient
from ifood_actors.ledger import ClaimedJob, JobResult, Ledger
from ifood_actors.logs import get_logger
from ifood_actors.spans import Period

log = get_logger(__name__)


def execute(
    message: JobMessage,
    *,
    kind: str,
    engine: Engine,
    client: IfoodClient,
    claims: Claims,
    leases: Leases,
    admission: Admission,
) -> None:
    """
    Wait for the job's turn, claim it, fetch its records, store them.

    No transaction is open while iFood is asked. The records and `success` are one transaction,
    fenced by the lease: a worker that was frozen and wakes up stores nothing. An exception leaves
    the job running; the retry middleware settles it, or else its lease ends.
    """
    started = monotonic()
    turn = admission.turn(message, kind=kind)
    if turn is None:
        log.info("job.handed_back", reason="no slot is near")
        return

    token = leases.claim_token()
    context.note_unanswered_claim(message.job_id, token)
    job = claims.claim(message, token)
    context.note_claim(job)
    if job is None:
        log.info("job.passed_over")
        return
    if job.lease_no == 1:
        metrics.LATENESS.labels(kind=job.kind).observe(job.late.total_seconds())

    feed = FEEDS[job.kind]
    with leases.hold(job) as lease:
        api = client.merchant(
            _identity(job),
            job.merchant_id,
            reserved=turn.reservation,
            on_progress=lease.note_progress,
        )
        period = Period(job.period_start, job.period_end)
        try:
            fetched = feed.fetch(api, period, timezone=ZoneInfo(job.timezone))
        finally:
            metrics.WASTED_REQUESTS.labels(kind=job.kind).inc(api.wasted)

        def store(tx: Connection) -> JobResult:
            origin = Origin(
                account_id=job.account_id,
                merchant_id=job.merchant_id,
                job_id=job.id,
                job_day=job.job_day,
            )
            stored = feed.store(tx, fetched, period=period, origin=origin)
            result = replace(stored, requests=api.requests, wasted=api.wasted)
            Ledger(tx, actor=leases.actor).succeed(job, result=result)
            return result

        lease.note_progress()
        result = repeated(engine, store)
        context.note_claim(None)
    log.info("job.succeeded", seconds=round(monotonic() - started, 3), **result.to_json())


def _identity(job: ClaimedJob) -> ApiIdentity:
    if job.app_id is None:
        raise CredentialsRefused("the account has no application: `accounts import` with `app`")
    return ApiIdentity(job.app_id, job.authorization_id)
