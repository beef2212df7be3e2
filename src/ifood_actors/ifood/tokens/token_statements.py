"""
The SQL of authorizations: who may renew one, and what iFood's answer makes of it.

Every instant is the database's own. Each act is one statement, and one transaction.
"""

from datetime import timedelta

from sqlalchemy import text

from ifood_actors.ifood.tables import AppKind
from ifood_actors.ifood.thresholds import ALL_STORES, REFUSED_IN_A_ROW, REFUSED_TWICE

# Longer than a renewal may take: one request (60 s), the database.
LOCK_FOR = timedelta(seconds=90)

READ = text(f"""
    SELECT app.id AS app_id, app.name AS app, app.kind, app.client_id, app.client_secret_encrypted,
      held.id, held.name, held.renewed_at,
      held.needs_authorization_since IS NOT NULL AS needs_authorization,
      CASE WHEN held.expires_at > clock_timestamp() THEN held.access_token_encrypted END
        AS encrypted,
      coalesce(extract(epoch FROM held.renew_at - clock_timestamp()), 0)::float8 AS fresh_seconds,
      held.refused_reason, {REFUSED_TWICE} AS refused_twice,
      coalesce(extract(epoch FROM held.refused_at + :pause - clock_timestamp()), 0)::float8
        AS paused_seconds
    FROM ifood_apps AS app LEFT JOIN ifood_authorizations AS held ON held.app_id = app.id
      AND CASE app.kind WHEN '{AppKind.CENTRALIZED}' THEN held.name = '{ALL_STORES}'
        ELSE held.id = :authorization_id END
    WHERE app.id = :app_id
""")
MAKE_CENTRAL = text(f"""
    INSERT INTO ifood_authorizations (app_id, name)
    SELECT id, '{ALL_STORES}' FROM ifood_apps
    WHERE id = :app_id AND kind = '{AppKind.CENTRALIZED}'
    ON CONFLICT (app_id, name) DO NOTHING
""")
# Gives the refresh token, since one that was read before the lock may be spent.
_FREE = """
    UPDATE ifood_authorizations SET locked_until = clock_timestamp() + :lock
    WHERE id = :id AND (locked_until IS NULL OR locked_until <= clock_timestamp())
"""
_LOCKED = "RETURNING locked_until, refresh_token_encrypted"
# Looks at the columns again, since another process may have renewed after they were read.
LOCK = text(f"""
    {_FREE} AND needs_authorization_since IS NULL
      AND (refused_at IS NULL OR refused_at <= clock_timestamp() - :pause)
      AND (renew_at IS NULL OR renew_at <= clock_timestamp()
        OR renewed_at = CAST(:renewed_at AS timestamptz))
    {_LOCKED}
""")
LOCK_ANYWAY = text(f"{_FREE} {_LOCKED}")
_MINE = "id = :id AND locked_until = :locked_until"
SAVE = text("""
    UPDATE ifood_authorizations
    SET access_token_encrypted = :access_token, renewed_at = clock_timestamp(),
      expires_at = clock_timestamp() + :lifetime, renew_at = clock_timestamp() + :fresh,
      refresh_token_encrypted = coalesce(:refresh_token, refresh_token_encrypted),
      refresh_expires_at = CASE WHEN CAST(:refresh_token AS text) IS NULL THEN refresh_expires_at
        ELSE clock_timestamp() + :refresh_lifetime END,
      locked_until = nullif(locked_until, :locked_until),
      refused_at = NULL, refused_since = NULL, refused_reason = NULL,
      needs_authorization_since = NULL
    WHERE id = :id AND (locked_until = :locked_until OR refresh_token_encrypted = :spent)
""")
# Of `held`: a token call may succeed, and its refresh token is the only one that there is.
LIVES = "held.refresh_token_encrypted IS NOT NULL AND held.needs_authorization_since IS NULL"
# A person has decided: former refusals, and a refresh that is under way, no longer count.
ADD = text(f"""
    INSERT INTO ifood_authorizations AS held (app_id, name, access_token_encrypted, renewed_at,
      expires_at, renew_at, refresh_token_encrypted, refresh_expires_at)
    VALUES (:app_id, :name, :access_token, clock_timestamp(), clock_timestamp() + :lifetime,
      clock_timestamp() + :fresh, :refresh_token, clock_timestamp() + :refresh_lifetime)
    ON CONFLICT (app_id, name) DO UPDATE
    SET access_token_encrypted = excluded.access_token_encrypted,
      renewed_at = excluded.renewed_at, expires_at = excluded.expires_at,
      renew_at = excluded.renew_at, refresh_token_encrypted = excluded.refresh_token_encrypted,
      refresh_expires_at = excluded.refresh_expires_at, locked_until = NULL, refused_at = NULL,
      refused_since = NULL, refused_reason = NULL, needs_authorization_since = NULL
    WHERE held.id = :replaces OR NOT ({LIVES})
    RETURNING held.id
""")
UNLOCK = text(f"""
    UPDATE ifood_authorizations SET locked_until = clock_timestamp() + :pause WHERE {_MINE}
""")
# While iFood refuses the whole application, nothing is learned about one authorization: its count
# starts again with each refusal. One whose time is over by iFood's own rule needs no second one.
# No other renewal may have replaced the token meanwhile.
_COUNTED = """
    CASE WHEN held.refused_at IS NULL OR row.refused >= :several THEN clock_timestamp()
      ELSE coalesce(held.refused_since, held.refused_at) END
"""
REFUSE = text(f"""
    UPDATE ifood_authorizations AS held
    SET locked_until = NULL, refused_at = clock_timestamp(), refused_since = {_COUNTED},
      refused_reason = :reason,
      needs_authorization_since = coalesce(held.needs_authorization_since,
        CASE WHEN :by_token AND (held.refresh_expires_at <= clock_timestamp()
          OR clock_timestamp() - {_COUNTED} >= :pause) THEN clock_timestamp() END)
    FROM (SELECT app.id,
        (SELECT 1 + count(*) {REFUSED_IN_A_ROW} AND refused.id <> :id) AS refused
      FROM ifood_apps AS app) AS row
    WHERE row.id = held.app_id AND held.id = :id AND held.locked_until = :locked_until
      AND held.refresh_token_encrypted IS NOT DISTINCT FROM :spent
    RETURNING held.needs_authorization_since IS NOT NULL AS needed, row.refused AS in_a_row
""")
# In one order for all, so that two refusals at once wait for each other and never deadlock.
REFUSE_ALL = text(f"""
    UPDATE ifood_authorizations AS held
    SET refused_at = clock_timestamp(), refused_since = {_COUNTED}, refused_reason = :reason
    FROM (SELECT CAST(:in_a_row AS int) AS refused) AS row
    WHERE id IN (
      SELECT id FROM ifood_authorizations WHERE app_id = :app_id AND id <> :id ORDER BY id
      FOR UPDATE)
""")
NEED = text(f"""
    UPDATE ifood_authorizations
    SET needs_authorization_since = clock_timestamp(), refused_reason = :reason
    WHERE {_MINE} AND refresh_token_encrypted IS NULL AND needs_authorization_since IS NULL
    RETURNING name
""")
NOTE_UNREADABLE = text("""
    UPDATE ifood_authorizations SET unreadable_at = clock_timestamp(), unreadable_by = :host
    WHERE id = :id
""")
FORGET = text("""
    UPDATE ifood_authorizations SET renew_at = clock_timestamp(), access_token_encrypted = NULL
    WHERE id = :id AND access_token_encrypted = :encrypted
""")
