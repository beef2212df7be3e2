"""What `doctor` asks of Postgres, RabbitMQ and iFood."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from datetime import timedelta

from pika.connection import Parameters
from sqlalchemy import Connection, Engine, func, select, text
from sqlmodel import col

from ifood_actors.accounts import Account
from ifood_actors.cli.output import count, duration
from ifood_actors.cli.work import doctor_postgres, doctor_settings
from ifood_actors.cli.work.database import open_database
from ifood_actors.cli.work.doctor_postgres import far
from ifood_actors.cli.work.doctor_settings import DoctorVerdict, Finding, usage_errors
from ifood_actors.cli.work.rabbitmq import ladder
from ifood_actors.config import Settings
from ifood_actors.errors import IfoodActorsError, ServiceUnavailable
from ifood_actors.ifood.connect import probe_api
from ifood_actors.ifood.thresholds import UNREADABLE
from ifood_actors.ifood.tokens import Cipher
from ifood_actors.ifood.tokens.rotation import survey_secrets
from ifood_actors.ledger.queries.conditions import LOST_MESSAGES
from ifood_actors.migrations import pending
from ifood_actors.renewal.policy import EXPIRING

OF_SETTINGS = doctor_settings.CHECKS

_API_PATIENCE = timedelta(seconds=10)
_REACHING = {
    "postgres": "start it, or correct IFOOD_DATABASE_URL",
    "rabbitmq": "start it, or correct IFOOD_BROKER_URL",
    "ifood api": "look at the network and IFOOD_API_BASE_URL",
}
_RAISING = 'raise it: docs/operations.md, "Your RabbitMQ", says what we need'


def findings(*, offline: bool) -> Iterator[Finding]:
    """Check what processes need, one finding a check; offline, the settings alone."""
    if offline:
        yield from doctor_settings.findings()
        return
    settings = yield from doctor_settings.configuration()
    if settings is None:
        return
    yield from doctor_settings.alert_addresses(settings)
    yield from _surviving("postgres", _postgres(settings))
    yield from _surviving("rabbitmq", _rabbitmq(settings))
    yield from _surviving("ifood api", _api(settings))


def _surviving(check: str, found: Iterator[Finding]) -> Iterator[Finding]:
    """End a row of checks at the first that cannot go on, with its reason."""
    try:
        yield from found
    except ServiceUnavailable as error:
        detail = " ".join(str(error).split())
        # The text of a certificate's refusal tells the remedy.
        advice = {None: _REACHING[check], "certificate": None, "limit": _RAISING}[error.cause]
        yield Finding(check, "failed", detail, advice, unreachable=True)
    except IfoodActorsError as error:
        yield Finding(check, "failed", " ".join(str(error).split()))


def _postgres(settings: Settings) -> Iterator[Finding]:
    with open_database(settings, migrated=False) as engine, engine.connect() as connection:
        url = settings.require_database_url()
        yield from doctor_postgres.findings(connection, url, private=_private(settings))
        missing = pending(connection)
        if missing:
            waiting = f"{count(len(missing), 'migration')} not applied, from {missing[0]} on"
            yield Finding("migrations", "failed", waiting, "run `ifood-actors db upgrade`")
            return
        yield Finding("migrations", "ok", "all applied")
        yield from _secrets(engine, settings)
        yield from _hosts_without_key(connection)
        yield _accounts(connection)
        yield from _authorizations(connection)
        yield from _lost_messages(connection)


def _private(settings: Settings) -> Collection[str]:
    return (settings.private_hosts or "").split(",")


def _secrets(engine: Engine, settings: Settings) -> Iterator[Finding]:
    cipher = Cipher(settings.require_encryption_keys() if settings.encryption_keys else ())
    found = survey_secrets(engine, cipher)
    stored = sum(each.newest + each.older + each.unreadable for each in found)
    if not stored:
        advice = "add one with `ifood-actors apps add`"
        yield Finding("applications", "warning", "none yet", advice)
    if settings.encryption_keys is None:
        verdict: DoctorVerdict = "failed" if stored else "warning"
        yield Finding("encryption keys", verdict, "none", "set IFOOD_ENCRYPTION_KEYS")
        return
    unreadable = [f"{each.what} ({each.unreadable})" for each in found if each.unreadable]
    if unreadable:
        detail = f"cannot decrypt {', '.join(unreadable)}"
        advice = "add their key, or store them again by `apps add`, `apps authorize`"
        yield Finding("encryption keys", "failed", detail, advice)
        return
    yield Finding("encryption keys", "ok", f"{count(stored, 'stored secret')} can be read")


def _hosts_without_key(connection: Connection) -> Iterator[Finding]:
    wanted = f"SELECT DISTINCT unreadable_by FROM ifood_authorizations WHERE {UNREADABLE}"
    if hosts := sorted(connection.execute(text(wanted)).scalars()):
        detail = f"{', '.join(hosts)} could not decrypt a secret within 15 minutes"
        advice = "give IFOOD_ENCRYPTION_KEYS there all keys that others have, and restart"
        yield Finding("keys elsewhere", "failed", detail, advice)


def _accounts(connection: Connection) -> Finding:
    active = func.count().filter(col(Account.active))
    orphans = func.count().filter(col(Account.active), col(Account.app_id).is_(None))
    total, without = connection.execute(select(active, orphans)).one()
    detail = f"{count(total, 'active account')}, {without:,} without an application"
    if total and not without:
        return Finding("accounts", "ok", detail)
    advice = "import them, with an application: `ifood-actors accounts import --help`"
    return Finding("accounts", "warning", detail, advice)


def _authorizations(connection: Connection) -> Iterator[Finding]:
    """Distributed applications only: a person has to act hours or days before jobs fail."""
    row = connection.execute(
        text("""
            SELECT count(held.id) AS held,
              count(*) FILTER (WHERE needs_authorization_since IS NOT NULL) AS needing,
              count(*) FILTER (WHERE refresh_expires_at < now() + :expiring) AS ageing,
              -- An import that moves an account leaves it linked with its former application's.
              (SELECT count(*) FROM accounts AS account
                JOIN ifood_apps AS app ON app.id = account.app_id
                WHERE account.active AND app.kind = 'distributed' AND NOT EXISTS (
                  SELECT FROM ifood_authorizations AS own
                  WHERE own.id = account.authorization_id AND own.app_id = account.app_id)
              ) AS unlinked
            FROM ifood_authorizations AS held JOIN ifood_apps AS app ON app.id = held.app_id
            WHERE app.kind = 'distributed'
        """),
        {"expiring": EXPIRING},
    ).one()
    if not row.held and not row.unlinked:
        return
    detail = (
        f"{row.held:,}, of which {row.needing:,} need their owner and {row.ageing:,} end within "
        f"{duration(EXPIRING)}; {row.unlinked:,} without one"
    )
    if row.needing or row.ageing or row.unlinked:
        advice = "see `ifood-actors apps tokens` and `ifood-actors apps authorize --help`"
        yield Finding("authorizations", "warning", detail, advice)
    else:
        yield Finding("authorizations", "ok", detail)


def _lost_messages(connection: Connection) -> Iterator[Finding]:
    may_read = text("SELECT has_column_privilege('ifood_job_events', 'reason', 'SELECT')")
    if not connection.execute(may_read).scalar_one():  # a worker's login
        return
    if lost := connection.execute(text(f"SELECT {LOST_MESSAGES}")).scalar_one():
        detail = f"{lost:,} of the last 15 minutes were lost or came early, and were sent again"
        advice = (
            "if nobody purged a queue, a policy of RabbitMQ sets message-ttl, max-length or "
            "expires: see `rabbitmqctl list_policies`"
        )
        yield Finding("messages", "warning", detail, advice)


def _rabbitmq(settings: Settings) -> Iterator[Finding]:
    with closing(ladder(settings, name="doctor")) as broker:
        broker.probe()
        hosts = ", ".join(f"{node.host}:{node.port}" for node in broker.parameters)
        yield Finding("rabbitmq", "ok", f"reachable at {hosts}")
        yield from _rabbitmq_in_clear(broker.parameters, private=_private(settings))
        refused = list(usage_errors("queues", broker.declare_all))
    as_declared = Finding("queues", "ok", "their arguments are as this version declares them")
    yield from refused or [as_declared]


def _rabbitmq_in_clear(
    nodes: Sequence[Parameters], *, private: Collection[str] = ()
) -> Iterator[Finding]:
    if away := far((node.host for node in nodes if node.ssl_options is None), private):
        detail = f"{', '.join(away)} is reached in clear, the password as well"
        advice = "write amqps://...?cacertfile=FILE in IFOOD_BROKER_URL"
        yield Finding("rabbitmq tls", "warning", detail, advice)


def _api(settings: Settings) -> Iterator[Finding]:
    status = probe_api(settings, within=_API_PATIENCE)
    yield Finding("ifood api", "ok", f"{settings.api_base_url} answers ({status})")
