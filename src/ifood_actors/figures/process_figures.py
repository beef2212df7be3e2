"""The figures of our own processes, of RabbitMQ, and of what the ledger does not expect."""

from datetime import timedelta
from typing import Final

from ifood_actors.broker.topology import UNROUTABLE, dead_letter_name
from ifood_actors.errors import RightMissing
from ifood_actors.figures.figure import ALL, SELDOM, AlertRule, Query, figure, fixed
from ifood_actors.kinds import KINDS, queue_name
from ifood_actors.ledger.bounds import IN_BOUNDS
from ifood_actors.ledger.queries.conditions import IS_OF_A_DAY, LOST_MESSAGES

RIGHT_MISSING: Final = "RightMissing"
RULE_FAILED: Final = "RuleFailed"
RABBIT_UNUSABLE: Final = "RabbitUnusable"

_WORK_QUEUES = tuple(map(queue_name, KINDS))

_HEARTBEAT = Query(
    """
        SELECT extract(epoch FROM max(seen_at)) AS ifood_scheduler_heartbeat_timestamp_seconds
        FROM ifood_schedulers
    """
)
# What only a scheduler knows, it has remembered as alerts.
_TOLD = Query(
    every=SELDOM,
    statement=f"""
        SELECT count(*) FILTER (WHERE name = '{RABBIT_UNUSABLE}') AS ifood_rabbitmq_unusable,
          count(*) FILTER (WHERE name = '{RULE_FAILED}') AS ifood_rules_failed,
          count(*) FILTER (WHERE name = '{RIGHT_MISSING}') AS ifood_rights_missing
        FROM ifood_alerts WHERE resolved_at IS NULL
    """,
)
_LOST = Query(every=SELDOM, statement=f"SELECT {LOST_MESSAGES} AS ifood_messages_lost")
# Those that are looked at soon and on which no act is possible, since each row of the history has
# to follow the last one, or since a value of an old row is out of bounds. A job that is parked for
# ten minutes is among them.
_AT_ODDS = Query(
    every=SELDOM,
    statement=f"""
        SELECT count(*) AS ifood_jobs_at_odds,
          array_to_string((array_agg(id ORDER BY wake_at))[1:3], ', ') AS jobs
        FROM ifood_jobs
        WHERE wake_at < now() + INTERVAL '15 minutes' AND (NOT {IN_BOUNDS} OR coalesce((
          SELECT (event.event_no, event.to_status) <> (ifood_jobs.event_no, ifood_jobs.status)
          FROM ifood_job_events AS event WHERE event.job_id = ifood_jobs.id
          ORDER BY event.event_no DESC LIMIT 1), true))
    """,
)

PROCESS_FIGURES: Final = (
    figure(
        "ifood_scheduler_heartbeat_timestamp_seconds",
        "last sign of life of any scheduler, as a Unix time; missing if there was none",
        _HEARTBEAT,
        AlertRule(
            "SchedulerSilent",
            "A scheduler is silent",
            "no sign of life for more than {limit}",
            "no sign of life for {number}",
            fixed(2 * 60),
            unit="seconds",
            # Here of each host as well, there of all together. A host that is gone for good is
            # forgotten after a day; no host at all counts as one.
            samples=f"""
                SELECT host AS subject, extract(epoch FROM now() - seen_at)::float8 AS value
                FROM ifood_schedulers
                WHERE stopped_at IS NULL AND seen_at > now() - INTERVAL '1 day'
                UNION ALL
                SELECT '{ALL}', coalesce(extract(epoch FROM now())
                  - ifood_scheduler_heartbeat_timestamp_seconds, 86400)::float8
                FROM ({_HEARTBEAT.statement}) AS last
            """,
            promql="time() - max(ifood_scheduler_heartbeat_timestamp_seconds)",
            summary="no scheduler gave a sign of life for {number}",
        ),
    ),
    figure(
        "ifood_rights_missing",
        "ticks of schedulers that Postgres denies a right, and 1 more for workers",
        _TOLD,
        AlertRule(
            RIGHT_MISSING,
            "A right is missing",
            "Postgres denies a scheduler or a worker a right that it needs",
            "{reason}",
            reported=True,  # by a scheduler, of each of its ticks
            samples=f"""
                SELECT 'worker' AS subject, count(*) AS value, min(last_error) AS reason
                FROM ifood_jobs AS job WHERE job_type = ANY(:kinds) AND {IS_OF_A_DAY}
                  AND status = 'failed' AND error_code = '{RightMissing.code}'
            """,
            summary="Postgres denies {number} ticks of schedulers, or workers, a right that "
            "they need",
        ),
    ),
    figure(
        "ifood_rules_failed",
        "alert rules that cannot be evaluated",
        _TOLD,
        AlertRule(
            RULE_FAILED,
            "A rule cannot be evaluated",
            "an alert rule cannot be evaluated",
            "the rule cannot be evaluated, so that nobody would be told: {reason}",
            reported=True,
            summary="{number} alert rules cannot be evaluated, so that nobody would be told",
        ),
    ),
    AlertRule(
        "NoWorker",
        "No worker on a queue",
        "a work queue has no consumer",
        "{number} workers take messages, {ready} messages wait",
        fixed(1),
        comparison="<",
        wait=timedelta(minutes=2),
        calm=timedelta(minutes=1),
        queues=_WORK_QUEUES,
        counted="consumers",
        promql='rabbitmq_detailed_queue_consumers{queue=~"ifood[.][a-z_]+"}',
        summary="no worker takes messages from {queue}",
    ),
    AlertRule(
        "DeadLetters",
        "Dead letters",
        "a queue `.XQ` holds messages",
        "{number} messages could not be taken by any worker",
        severity="warning",
        queues=tuple(map(dead_letter_name, _WORK_QUEUES)),
        promql='rabbitmq_detailed_queue_messages_ready{queue=~"ifood[.].+[.]XQ"}',
        summary="{number} messages in {queue} could not be taken by any worker",
    ),
    AlertRule(
        "UnroutableOrders",
        "Unroutable messages",
        f"`{UNROUTABLE}` holds messages",
        "{number} messages left the delay ladder and found no queue",
        queues=(UNROUTABLE,),
        promql=f'rabbitmq_detailed_queue_messages_ready{{queue="{UNROUTABLE}"}}',
    ),
    figure(
        "ifood_messages_lost",
        "messages of the last 15 minutes that were lost or came early, and were sent again",
        _LOST,
        AlertRule(
            "MessagesLost",
            "Messages are lost",
            "a message of the last 15 minutes was lost or came early",
            "{number} messages of the last 15 minutes were lost or came early, as by a purge "
            "or by a policy of RabbitMQ that sets message-ttl, max-length or expires",
            summary="{number} messages of the last 15 minutes were lost or came early",
        ),
    ),
    figure(
        "ifood_jobs_at_odds",
        "open jobs that are not where their history ends, so that no act on them is possible",
        _AT_ODDS,
        AlertRule(
            "HistoryAtOdds",
            "Jobs at odds with their history",
            "an open job is not where its history ends",
            "{number} jobs are not where their history ends, so that no act on them is "
            "possible, such as {jobs}",
            summary="{number} jobs are not where their history ends, so that no act on them is "
            "possible",
        ),
    ),
    figure(
        "ifood_rabbitmq_unusable",
        "1 while a scheduler cannot log in to RabbitMQ, else 0",
        _TOLD,
        AlertRule(
            RABBIT_UNUSABLE,
            "RabbitMQ cannot be used",
            "a scheduler cannot log in to RabbitMQ",
            "{reason}",
            wait=timedelta(minutes=2),
            calm=timedelta(minutes=1),
            reported=True,
            summary="a scheduler cannot log in to RabbitMQ",
        ),
    ),
)
