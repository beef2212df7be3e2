"""The figures of what iFood allows: authorizations, tokens, breakers and limits."""

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
from ifood_actors.ifood.thresholds import (
    BREAKER_OPENS_AFTER,
    REFUSED_IN_A_ROW,
    REFUSED_TWICE,
    SEVERAL,
    UNREADABLE,
)
from ifood_actors.ledger.job_result import result_value
from ifood_actors.renewal.policy import EXPIRING

# A second refusal decides; the first one decides nothing, and no one can act on it. What is
# refused is not told to end as well: its owner has to authorize it in either case.
_HELD = f"""
    SELECT app.name || ', ' || held.name AS subject, CASE
        WHEN held.needs_authorization_since IS NOT NULL OR {REFUSED_TWICE} THEN 'refused'
        WHEN held.refresh_expires_at < now() + :expiring THEN 'expiring'
        ELSE 'ok' END AS state,
      extract(epoch FROM held.refresh_expires_at - now())::float8 AS ends_in,
      extract(epoch FROM now() - coalesce(held.needs_authorization_since, held.refused_since)
        )::float8 AS refused_for,
      coalesce(held.refused_reason, 'the owner has to authorize again') AS reason
    FROM ifood_authorizations AS held JOIN ifood_apps AS app ON app.id = held.app_id
"""
_STATES = ("ok", "expiring", "refused")
_AUTHORIZATIONS = Query(
    every=SELDOM,
    labels={"state": _STATES},
    statement=f"""
        SELECT state, count(held.state) AS ifood_authorizations
        FROM unnest(ARRAY{list(_STATES)}) AS state LEFT JOIN ({_HELD}) AS held USING (state)
        GROUP BY state
    """,
)
_BREAKERS = Query(
    labels={"app": ()},
    statement=f"""
        SELECT app.name AS app, coalesce(max(used.failures), 0) AS failures,
          coalesce(max(used.is_open::int), 0) AS ifood_breaker_open,
          coalesce(max((used.is_open AND used.blocked_by IS NOT NULL)::int), 0)
            AS ifood_application_blocked,
          coalesce(extract(epoch FROM now() - min(used.closed_at) FILTER (
            WHERE used.is_open AND used.blocked_by IS NOT NULL)), 0)::float8 AS blocked_for,
          min(used.blocked_by) FILTER (WHERE used.is_open) AS blocked_by,
          (SELECT count(*) {REFUSED_IN_A_ROW}) AS ifood_authorizations_refused_in_a_row,
          (SELECT min(refused.refused_reason) {REFUSED_IN_A_ROW}) AS refused_reason
        FROM ifood_apps AS app LEFT JOIN (
          SELECT *, failures >= {BREAKER_OPENS_AFTER} AS is_open FROM ifood_limits
        ) AS used ON used.app_id = app.id
        GROUP BY app.id
    """,
)
_LIMITERS = Query(
    labels={"app": (), "group": ()},
    statement="""
        SELECT app.name AS app, used.endpoint_group AS group,
          greatest(extract(epoch FROM used.next_free_at - now()), 0) AS ifood_limiter_ahead_seconds
        FROM ifood_limits AS used JOIN ifood_apps AS app ON app.id = used.app_id
    """,
)
_KEYS = Query(
    every=SELDOM,
    labels={"host": ()},
    statement=f"""
        SELECT unreadable_by AS host, count(*) AS ifood_secrets_unreadable
        FROM ifood_authorizations WHERE {UNREADABLE} GROUP BY unreadable_by
    """,
)

IFOOD_FIGURES: Final = (
    figure(
        "ifood_authorizations",
        "authorizations; a refresh token that ends within 36 hours is `expiring`, since an unused "
        "one is renewed after 3 of its 7 days; `refused` needs a second refusal, minutes after the "
        "first, and comes before `expiring`",
        _AUTHORIZATIONS,
        AlertRule(
            "AuthorizationExpiring",
            "An authorization is about to end",
            "a refresh token ends within {limit}",
            "its refresh token ends in {number}, and nobody could renew it",
            fixed(EXPIRING.total_seconds()),
            unit="seconds",
            comparison="<",
            wait=SHORT,
            severity="warning",
            samples=f"""
                SELECT subject, ends_in AS value FROM ({_HELD}) AS held
                WHERE state = 'expiring' ORDER BY value LIMIT 100
            """,
            promql='ifood_authorizations{state="expiring"} > 0',
            summary="{{ $value }} refresh tokens end within "
            f"{EXPIRING // timedelta(hours=1)} hours, and nobody could renew them",
        ),
        AlertRule(
            "AuthorizationRefused",
            "iFood refuses an authorization",
            "iFood refused a refresh token or the credentials twice, 5 minutes apart",
            "iFood has refused it for {number}: {reason}",
            fixed(0),
            unit="seconds",
            comparison=">=",
            calm=timedelta(minutes=1),
            samples=f"""
                SELECT subject, refused_for AS value, reason FROM ({_HELD}) AS held
                WHERE state = 'refused' ORDER BY value DESC LIMIT 100
            """,
            promql='ifood_authorizations{state="refused"} > 0',
            summary="iFood has refused {{ $value }} authorizations",
        ),
    ),
    figure(
        "ifood_authorizations_refused_in_a_row",
        "authorizations that iFood has refused since it granted one; more than two: nothing is "
        "learned about one of them, and a token is asked for once a minute",
        _BREAKERS,
        AlertRule(
            "ApplicationRefused",
            "iFood refuses an application",
            "iFood refused more than {limit} authorizations of an application and granted none "
            "since",
            "iFood has refused {number} authorizations in a row, and is asked for one token a "
            "minute: {refused_reason}",
            fixed(SEVERAL - 1),
            calm=timedelta(minutes=1),
            summary="iFood has refused {number} authorizations of {app} in a row",
        ),
    ),
    figure(
        "ifood_secrets_unreadable",
        "authorizations with a secret that the host could not decrypt within 15 minutes; missing "
        "if there is none",
        _KEYS,
        AlertRule(
            "SecretsUnreadable",
            "A host lacks a key",
            "a process could not decrypt a secret within 15 minutes",
            "secrets of {number} authorizations could not be decrypted there within 15 "
            "minutes: its IFOOD_ENCRYPTION_KEYS lack a key",
            summary="{host} cannot decrypt secrets of {number} authorizations",
        ),
    ),
    AlertRule(
        "Throttled",
        "iFood throttles",
        f"more than {{limit}} of the requests of 15 minutes, of at least {FEW_REQUESTS}, got a 429",
        "{number} of the requests of the last 15 minutes were answered by 429",
        fixed(0.10),
        unit="share",
        wait=SHORT,
        calm=LONG,
        severity="warning",
        # Workers of the release before write no detail: their 429 is known by its text, which
        # begins with it.
        samples=f"""
            SELECT '{ALL}' AS subject, throttled / (throttled + answered)::float8 AS value FROM (
              SELECT count(*) FILTER (WHERE act = 'snooze' AND CASE
                  WHEN detail IS NULL THEN reason ~ '^429( |$)'
                  ELSE detail ->> 'http_status' = '429' END) AS throttled,
                coalesce(sum({result_value("requests", column="detail")})
                  FILTER (WHERE act = 'succeed'), 0) AS answered
              FROM ifood_job_events WHERE at > now() - INTERVAL '15 minutes') AS requests
            WHERE throttled + answered >= {FEW_REQUESTS}
        """,
        promql='sum(increase(ifood_requests_total{outcome="429"}[15m]))\n'
        "/ sum(increase(ifood_requests_total[15m])) > {limit}\n"
        f"and sum(increase(ifood_requests_total[15m])) >= {FEW_REQUESTS}",
    ),
    figure(
        "ifood_breaker_open",
        "1 while iFood fails and only probes are sent",
        _BREAKERS,
        AlertRule(
            "BreakerOpen",
            "iFood is away",
            "{limit} deliveries in a row failed at iFood",
            "the breaker is open since {number} deliveries in a row have failed at iFood",
            fixed(BREAKER_OPENS_AFTER),
            comparison=">=",
            samples=f"""
                SELECT app AS subject, failures AS value FROM ({_BREAKERS.statement}) AS app
            """,
            promql="ifood_breaker_open > 0",
            summary="the breaker of {app} is open",
        ),
    ),
    figure(
        "ifood_application_blocked",
        "1 while, besides, a gateway refuses those probes by 401 or 403",
        _BREAKERS,
        AlertRule(
            "ApplicationBlocked",
            "An application is blocked",
            "the breaker is open, and the last delivery was refused (401 or 403) by a gateway "
            "and not by iFood",
            "a gateway has refused all requests of the application for {number}: {blocked_by}",
            fixed(0),
            unit="seconds",
            comparison=">=",
            samples=f"""
                SELECT app AS subject, blocked_for AS value, blocked_by
                FROM ({_BREAKERS.statement}) AS app WHERE ifood_application_blocked > 0
            """,
            promql="ifood_application_blocked > 0",
            summary="a gateway refuses all requests of {app}",
        ),
    ),
    figure("ifood_limiter_ahead_seconds", "how far ahead requests are reserved", _LIMITERS),
)
