"""The story of one delivery, from the claim to the stored records."""

from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, IntegrityError

from ifood_actors import metrics
from ifood_actors.db import repeated, transaction
from ifood_actors.delivery import context
from ifood_actors.delivery.admission import Admission
from ifood_actors.delivery.leases import Leases
from ifood_actors.delivery.messages import JobMessage
from ifood_actors.errors import CredentialsRefused
from ifood_actors.feeds import FEEDS, Origin
from ifood_actors.ifood.http import ApiIdentity, IfoodClient
from ifood_actors.ledger import Act, ClaimedJob, JobResult, Ledger, park
from ifood_actors.logs import get_logger
from ifood_actors.spans import Period

log = get_logger(__name__)


def execute(
    message: JobMessage,
    *,
    kind: str,
    engine: Engine,
    client: IfoodClient,
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
    tried = False

    def claim(tx: Connection) -> ClaimedJob | None:
        nonlocal tried
        ledger = Ledger(tx, actor=leases.actor)
        if tried:  # the claim may be committed, and only its answer lost
            held = ledger.held(message.job_id, token)
            if held is not None and ledger.renew([held], lease=leases.length):
                return held
        tried = True
        return ledger.claim(message.job_id, message.dispatch_no, token=token, lease=leases.length)

    job = _claimed(engine, message, claim)
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


def _claimed(
    engine: Engine, message: JobMessage, claim: Callable[[Connection], ClaimedJob | None]
) -> ClaimedJob | None:
    """Claim, or park a job that cannot be claimed because of its history or a value in it."""
    try:
        return repeated(engine, claim)
    except (DataError, IntegrityError) as error:
        with transaction(engine) as tx:
            park(tx, Act.CLAIM, message.job_id, error)
        return None


def _identity(job: ClaimedJob) -> ApiIdentity:
    if job.app_id is None:
        raise CredentialsRefused("the account has no application: `accounts import` with `app`")
    return ApiIdentity(job.app_id, job.authorization_id)
