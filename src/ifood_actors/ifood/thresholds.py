"""
When iFood counts as away, and an authorization as refused, alive or unreadable. Without I/O.

Numbers, and conditions in SQL that others compose into statements of their own.
"""

from datetime import timedelta

ALL_STORES = "*"  # the name of a centralised application's only authorization
REFRESH_TOKEN_LIFETIME = timedelta(hours=168)  # iFood authentication guide; no answer tells it

# Deliveries of one application, in a row, that ended in a fault of iFood's: then it has failed.
BREAKER_OPENS_AFTER = 10
PROBE_EVERY = timedelta(seconds=60)  # while the breaker is open

# A refusal may be an outage's. So iFood is asked again after this, and the second one decides;
# new credentials, and the owner, end the pause at once.
PAUSE_AFTER_REFUSAL = timedelta(minutes=5)
# Authorizations of one application, refused in a row: then iFood refuses the application, or is
# out of order, and no refusal decides anything.
SEVERAL = 3

# Of `app`: its authorizations whose latest refusal no grant of the application has followed.
REFUSED_IN_A_ROW = """
    FROM ifood_authorizations AS refused
    WHERE refused.app_id = app.id AND refused.needs_authorization_since IS NULL
      AND refused.refused_at > coalesce((SELECT max(granted.renewed_at)
        FROM ifood_authorizations AS granted WHERE granted.app_id = app.id), '-infinity')
"""
# Of `held`. The former release writes no `refused_since`.
REFUSED_TWICE = f"""
    coalesce(held.refused_at - coalesce(held.refused_since, held.refused_at)
      >= INTERVAL '{PAUSE_AFTER_REFUSAL.total_seconds():.0f} s', false)
"""
# A process notes it each time that it would have had to read the secret.
UNREADABLE = "unreadable_at > now() - INTERVAL '15 minutes'"
