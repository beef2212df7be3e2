"""The figures of accounts and of what was pulled for them."""

from datetime import timedelta
from typing import Final

from ifood_actors.figures.figure import (
    ALL,
    FEW_REQUESTS,
    LONG,
    SELDOM,
    SHORT,
    AlertRule,
    Query,
    figure,
    fixed,
)
from ifood_actors.figures.run_figures import KIND
from ifood_actors.ledger.job_result import result_value
from ifood_actors.ledger.queries.conditions import IS_OF_A_DAY

_FEEDS = "unnest(CAST(:kinds AS text[]), CAST(:patience AS interval[])) AS feed(kind, patience)"
_NAMES = "array_to_string((array_agg(account.name ORDER BY account.name))[1:3], ', ') AS accounts"
_ACCOUNT_STATES = ("active", "inactive")
_ACCOUNTS = Query(
    every=SELDOM,
    labels={"state": _ACCOUNT_STATES},
    statement=f"""
        SELECT state, count(account.id) AS ifood_accounts
        FROM unnest(ARRAY{list(_ACCOUNT_STATES)}) AS state
        LEFT JOIN accounts AS account ON account.active = (state = 'active')
        GROUP BY state
    """,
)
# For an account that the planner left out, the patience counts from the run that asks it again.
_STALE = Query(
    every=SELDOM,
    labels=KIND,
    statement=f"""
        SELECT kind, count(account.id) AS ifood_accounts_stale, {_NAMES}
        FROM {_FEEDS} LEFT JOIN accounts AS account
          ON account.active AND account.created_at < now() - feed.patience AND NOT EXISTS (
            SELECT FROM ifood_jobs AS job
            WHERE job.job_type = feed.kind AND job.account_id = account.id
              AND job.job_day >= (now() - feed.patience)::date - 2
              AND job.status = 'success' AND job.finished_at > now() - feed.patience)
          AND NOT EXISTS (
            SELECT FROM ifood_left_out AS left_out
            WHERE left_out.account_id = account.id AND left_out.job_type = feed.kind
              AND left_out.asked_again_on > (now() - feed.patience)::date)
        GROUP BY kind
    """,
)
_VANISHED = Query(
    every=SELDOM,
    labels=KIND,
    statement=f"""
        SELECT kind, coalesce(run.stores, 0) AS ifood_vanished_stores, run.job_day AS day, run.rows
        FROM unnest(CAST(:kinds AS text[])) AS kind LEFT JOIN (
          SELECT DISTINCT ON (job_type) job_type AS kind, job_day, count(*) AS stores,
            sum({result_value("vanished")}) AS rows
          FROM ifood_jobs AS job
          WHERE job_type = ANY(:kinds) AND {IS_OF_A_DAY}
            AND {result_value("vanished")} > 0
          GROUP BY job_type, job_day ORDER BY job_type, stores DESC
        ) AS run USING (kind)
    """,
)
_REJECTED = Query(
    every=SELDOM,
    labels=KIND,
    statement=f"""
        SELECT feed.kind, count(item.id) AS ifood_rejected_items,
          count(DISTINCT item.merchant_id) AS stores
        FROM {_FEEDS} LEFT JOIN ifood_rejected_items AS item
          ON item.kind = feed.kind AND item.last_seen_at > now() - feed.patience
        GROUP BY feed.kind
    """,
)
_INCOMPLETE = Query(
    every=SELDOM,
    labels=KIND,
    statement=f"""
        SELECT kind, count(account.id) AS ifood_accounts_incomplete, {_NAMES}
        FROM {_FEEDS} LEFT JOIN accounts AS account ON account.active AND 2 = (
          SELECT count(*) FILTER (WHERE {result_value("complete")} IS FALSE) FROM (
            SELECT result FROM ifood_jobs AS job
            WHERE job.job_type = feed.kind AND job.account_id = account.id
              AND job.merchant_id = account.ifood_merchant_id AND job.status = 'success'
              AND job.job_day >= (now() - 2 * feed.patience)::date - 2
            ORDER BY job.job_day DESC LIMIT 2) AS latest)
        GROUP BY kind
    """,
)
_HISTORY = Query(
    every=SELDOM,
    statement="""
        SELECT sum(pg_total_relation_size(relid)) AS ifood_history_bytes FROM (
          SELECT relid FROM pg_partition_tree('ifood_job_events')
          UNION SELECT CAST('ifood_job_events' AS regclass)
        ) AS part
    """,
)

RECORD_FIGURES: Final = (
    figure("ifood_accounts", "accounts", _ACCOUNTS),
    figure(
        "ifood_accounts_stale",
        "active accounts without a success for longer than from one window to the next and a day: "
        "2 days where it opens daily, 8 where weekly; new ones do not count for so long",
        _STALE,
        AlertRule(
            "AccountsStale",
            "Accounts without fresh data",
            "an active account has no fresh data of a kind",
            "{number} active accounts have no fresh data, such as {accounts}",
            wait=timedelta(minutes=30),
            calm=LONG,
            severity="warning",
            summary="{number} active accounts have no fresh {kind}",
        ),
    ),
    figure(
        "ifood_vanished_stores",
        "stores of one run of the last 24 hours, the worst one, that did not bring all or most of "
        "the rows that were known",
        _VANISHED,
        AlertRule(
            "RowsVanished",
            "Rows vanished in several stores",
            "in one run, more than {limit} stores did not bring all or most of the rows that "
            "were known",
            "{number} stores of the run of {day} did not bring all or most of the rows that "
            "were known, {rows} rows in all",
            # One or two stores may lose what they had; more at once are rather a wrong answer.
            fixed(2),
            calm=LONG,
            summary="{number} stores of one run of {kind} did not bring all or most of the "
            "rows that were known",
        ),
    ),
    AlertRule(
        "RequestsWasted",
        "Many requests are answered by 404",
        "iFood answered more than {limit} of the requests of 24 hours, of at least "
        f"{FEW_REQUESTS}, by 404",
        "{number} of the requests of the last 24 hours were answered by 404: {wasted} of "
        "{requests}",
        fixed(0.10),
        unit="share",
        wait=SHORT,
        calm=LONG,
        severity="warning",
        samples=f"""
            SELECT '{ALL}' AS subject, wasted, requests, wasted / requests::float8 AS value FROM (
              SELECT coalesce(sum({result_value("wasted")}), 0) AS wasted,
                coalesce(sum({result_value("requests")}), 0) AS requests
              FROM ifood_jobs AS job WHERE job_type = ANY(:kinds) AND {IS_OF_A_DAY}) AS sent
            WHERE requests >= {FEW_REQUESTS}
        """,
        promql="sum(increase(ifood_wasted_requests_total[1d]))\n"
        '/ sum(increase(ifood_requests_total{endpoint="financial"}[1d])) > {limit}\n'
        'and sum(increase(ifood_requests_total{endpoint="financial"}[1d])) '
        f">= {FEW_REQUESTS}",
        summary="{number} of the requests of the last 24 hours were answered by 404",
    ),
    figure(
        "ifood_rejected_items",
        "items that the latest pulls could not read exactly and set aside",
        _REJECTED,
        AlertRule(
            "ItemsRejected",
            "Items that cannot be read",
            "the latest pulls of a kind set an item aside",
            "{number} items of {stores} stores could not be read exactly and are set aside",
            calm=LONG,
            severity="warning",
            summary="{number} items of {kind} could not be read exactly and are set aside",
        ),
    ),
    figure(
        "ifood_accounts_incomplete",
        "active accounts whose latest two successes were not complete",
        _INCOMPLETE,
        AlertRule(
            "PullsIncomplete",
            "Pulls that are not complete",
            "an active account's last two pulls of a kind were not complete",
            "of {number} active accounts the last two pulls were not complete, such as {accounts}",
            calm=LONG,
            severity="warning",
            summary="of {number} active accounts the last two pulls of {kind} were not complete",
        ),
    ),
    figure(
        "ifood_history_bytes",
        "the history on disk, its indexes included",
        _HISTORY,
        AlertRule(
            "HistoryLarge",
            "The history is large",
            "the history takes more than {limit}",
            "the table of the history takes {number}",
            fixed(20 * 2**30),
            unit="bytes",
            wait=SHORT,
            calm=LONG,
            severity="warning",
        ),
    ),
)
