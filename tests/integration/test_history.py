"""The history cannot be rewritten, by no login: forged, skipped, shortened or left out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine, text
from support.logins import ROLES, Login, execute
from support.rows import acts_of, backdate, claimed_job, dispatch, make_jobs, row_of, unwatched
from support.transitions import ALLOWED

from ifood_actors.db import transaction
from ifood_actors.ledger import Act, JobStatus, Ledger
from ifood_actors.ledger.queries.jobs import history
from ifood_actors.ledger.states import FINAL

pytestmark = pytest.mark.services

LONG = timedelta(days=100)
# "one" is the only login of an installation without roles.sql; here it is a superuser, as in the
# demo. It and the migrator may switch triggers off; until they do, they are bound as all others.
EVERYBODY: Final = (*ROLES, "one")
REFUSALS: Final = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.UndefinedTable,  # what lies in a schema that a role may not use
    psycopg.IntegrityError,
    psycopg.errors.RaiseException,
)
# What may change alone and leave no row, and why that rewrites nothing.
UNTOLD: Final = {
    "dispatched_at": "whether a message is under way; it is set without an act",
    "lease_expires_at": "renewed every 15 s while a job runs",
    "wake_at": "when the relay looks next; JobOverdue tells of one that waits or runs too long",
    "updated_at": "nothing goes by it",
}


@pytest.fixture
def login(database_url: str, login: Login) -> Login:
    return lambda name: database_url if name == "one" else login(name)


@dataclass(frozen=True)
class Jobs:
    """
    A dispatched, a running, a failed job, an old one, and one whose history is forgotten.

    Of `deleted` there is the history alone, and `behind` has a number behind its history.
    """

    pending: UUID
    running: UUID
    failed: UUID
    old: UUID
    forgotten: UUID
    deleted: UUID
    behind: UUID


@pytest.fixture
def jobs(engine: Engine) -> Jobs:
    [pending] = make_jobs(engine)
    dispatch(engine, pending.id)
    running = claimed_job(engine).id
    failed, old, forgotten, deleted, behind = (failed_job(engine) for _ in range(5))
    for job_id in (old, forgotten):
        age(engine, job_id)
    with unwatched(engine) as tx:
        tx.execute(text("DELETE FROM ifood_job_events WHERE job_id = :id"), {"id": forgotten})
        tx.execute(text("DELETE FROM ifood_jobs WHERE id = :id"), {"id": deleted})
        back = text("UPDATE ifood_jobs SET event_no = event_no - 1 WHERE id = :id")
        tx.execute(back, {"id": behind})
    return Jobs(pending.id, running, failed, old, forgotten, deleted, behind)


def failed_job(engine: Engine) -> UUID:
    job = claimed_job(engine)
    with transaction(engine) as tx:
        Ledger(tx, actor="worker").fail(job, error_code="x", reason="y")
    return job.id


def age(engine: Engine, job_id: UUID) -> None:
    backdate(engine, job_id, finished_at=LONG)
    with unwatched(engine) as tx:
        older = text("UPDATE ifood_job_events SET at = at - :by WHERE job_id = :id")
        tx.execute(older, {"by": LONG, "id": job_id})


# --- attacks ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Move:
    """An act in one statement, as in `ledger/statements.py`; any part of it may be wrong."""

    job: UUID
    act: str = "dispatch"
    source: str = "pending"
    target: str = "pending"
    changes: str = ""
    step: int = 1
    event_no: str = "event_no"
    at: str = "statement_timestamp()"
    attempt: str = "attempts"
    login: str = ""
    actor: str = "'maria'"
    reason: str = "NULL"
    detail: str = "NULL"
    rows: str = "job"

    def __str__(self) -> str:
        wake = "NULL" if JobStatus(self.target) in FINAL else "now()"
        column, value = (", login", f", {self.login}") if self.login else ("", "")
        return f"""
            WITH job AS (
              UPDATE ifood_jobs SET event_no = event_no + {self.step}, status = '{self.target}',
                wake_at = {wake}{self.changes} WHERE id = '{self.job}' RETURNING *)
            INSERT INTO ifood_job_events
              (job_id, event_no, at, act, from_status, to_status, attempt, actor, reason,
              detail{column})
            SELECT id, {self.event_no}, {self.at}, '{self.act}', '{self.source}', '{self.target}',
              {self.attempt}, {self.actor}, {self.reason}, CAST({self.detail} AS jsonb){value}
            FROM {self.rows} RETURNING job_id
        """


def row(job: UUID, event_no: int, act: str, source: str, target: str) -> str:
    """Give a row alone, that belongs to no change of its job."""
    return f"""
        INSERT INTO ifood_job_events
          (job_id, event_no, at, act, from_status, to_status, attempt, actor)
        VALUES ('{job}', {event_no}, statement_timestamp(), '{act}', '{source}', '{target}', 1, 'x')
    """


def own_move(role: str, jobs: Jobs, **wrong: Any) -> Move:
    """Give an act of a role's own, on a job that waits."""
    match role:
        case "worker":
            own = Move(jobs.pending, "snooze")
        case "admin":
            own = Move(jobs.pending, "cancel", target="cancelled")
        case _:
            own = Move(jobs.pending)
    return replace(own, **wrong)


FOREIGN: Final = {"scheduler": "snooze", "worker": "dispatch", "admin": "dispatch"}


def attacks(role: str, jobs: Jobs) -> dict[str, Sequence[object]]:
    """Give statements of which the last one must be refused."""
    events, job = "ifood_job_events", "UPDATE ifood_jobs SET"
    at_failed, at_old = f"WHERE job_id = '{jobs.failed}'", f"WHERE job_id = '{jobs.old}'"
    told: dict[str, Sequence[object]] = {
        "a row is changed": [f"UPDATE {events} SET actor = 'x' {at_failed}"],
        "the time of a row is changed": [f"UPDATE {events} SET at = '2020-01-01' {at_failed}"],
        "a row is written over": [
            f"""INSERT INTO {events} SELECT * FROM {events} {at_failed}
              ON CONFLICT (job_id, event_no) DO UPDATE SET actor = 'x'"""
        ],
        "a young history is deleted": [f"DELETE FROM {events} {at_failed}"],
        "a part of an old history is deleted": [f"DELETE FROM {events} {at_old} AND act = 'fail'"],
        "an end is set back": [
            f"{job} finished_at = now() - INTERVAL '1 year' WHERE id = '{jobs.failed}'"
        ],
        "a history is deleted after its end was set back by an act": [
            set_back(jobs),
            f"DELETE FROM {events} WHERE job_id = '{jobs.running}'",
        ],
        "all is deleted": [f"DELETE FROM {events}"],
        "all is truncated": [f"TRUNCATE {events}"],
        "a number without a row": [
            f"""{job} status = 'success', wake_at = NULL, event_no = event_no + 1
              WHERE id = '{jobs.running}'"""
        ],
        "a number goes back": [f"{job} event_no = event_no - 1 WHERE id = '{jobs.failed}'"],
        "a number goes back, and its row anew": [own_move(role, jobs, step=-1)],
        "a number is skipped": [own_move(role, jobs, step=2)],
        "a row of another number": [own_move(role, jobs, event_no="event_no + 1")],
        "two rows of one act": [
            own_move(role, jobs, event_no="event_no + n", rows="job, generate_series(0, 1) AS n")
        ],
        "a row of another time": [own_move(role, jobs, at="now() - INTERVAL '1 year'")],
        "a row of a moment ago": [own_move(role, jobs, at="now() - INTERVAL '1 s'")],
        "a row of another login": [own_move(role, jobs, login="'ifood_admin '")],
        "a row of no login": [own_move(role, jobs, login="NULL")],
        "a row of other attempts": [own_move(role, jobs, attempt="attempts + 1")],
        "a row that does not follow": [own_move(role, jobs, source="running")],
        "a row of an act that leads elsewhere": [own_move(role, jobs, act="succeed")],
        "a row that is called manual": [own_move(role, jobs, act="manual")],
        "a row without a change": [row(jobs.failed, 5, "requeue", "failed", "pending")],
        "a row of a job that is not there": [row(UUID(int=1), 1, "plan", "pending", "pending")],
        "a row where the history was forgotten": [
            row(jobs.forgotten, 4, "fail", "running", "failed")
        ],
        "a row before the history": [row(jobs.failed, 0, "dispatch", "pending", "pending")],
        "another id": [f"{job} id = gen_random_uuid() WHERE id = '{jobs.failed}'"],
        "another id, beside another change": [
            f"{job} id = gen_random_uuid(), priority = priority + 1 WHERE id = '{jobs.failed}'"
        ],
        "another id, as a conflict": [
            f"""INSERT INTO ifood_jobs SELECT * FROM ifood_jobs WHERE id = '{jobs.failed}'
              ON CONFLICT (id) DO UPDATE SET id = gen_random_uuid(), attempts = 7"""
        ],
        "another store, with an act": [own_move(role, jobs, changes=", merchant_id = 'other'")],
        "another day, with an act": [own_move(role, jobs, changes=", job_day = '2020-01-01'")],
        "a number whose row is old": [f"{job} event_no = event_no + 1 WHERE id = '{jobs.behind}'"],
        "a new job without a row": [planned(event_no=1)],
        "a new job with a high number": [planned(event_no=7)],
        "a new job on the rows of a deleted one": [planned(event_no=1, job_id=jobs.deleted)],
        "a row of nobody": [own_move(role, jobs, actor="''")],
        "a row of two lines": [own_move(role, jobs, actor="E'maria\\nclaim'")],
        "a row that moves the cursor": [own_move(role, jobs, reason="E'\\x1b[2J'")],
        "a row of a long name": [own_move(role, jobs, actor="repeat('x', 201)")],
        "a row of a long reason": [own_move(role, jobs, reason="repeat('x', 2001)")],
        "a row of much detail": [
            own_move(role, jobs, detail="jsonb_build_object('x', repeat('x', 20000))")
        ],
    }
    if role in FOREIGN:
        told["an act of another role"] = [Move(jobs.pending, FOREIGN[role])]
    return told


def set_back(jobs: Jobs) -> Move:
    """Give a rescue after which the job says that it ended long ago."""
    changes = ", finished_at = now() - INTERVAL '1 year'"
    return Move(jobs.running, "rescue", "running", "failed", changes=changes)


def planned(*, event_no: int, job_id: UUID | None = None) -> str:
    column, value = ("id, ", f"'{job_id}', ") if job_id else ("", "")
    return f"""
        INSERT INTO ifood_jobs ({column}job_type, account_id, merchant_id, job_day, scheduled_for,
          period_start, period_end, event_no)
        SELECT {value}job_type, account_id, merchant_id, '2020-01-0{event_no}', now(), job_day,
          job_day, {event_no} FROM ifood_jobs LIMIT 1
    """


def attempt(connection: psycopg.Connection, statements: Sequence[object]) -> str:
    """Tell what came of the last statement; all is undone."""
    try:
        with connection.transaction(force_rollback=True):
            for statement in statements:
                connection.execute(str(statement).encode())
    except REFUSALS:
        return "refused"
    return "done"


@pytest.mark.parametrize("role", EVERYBODY)
def test_the_history_cannot_be_rewritten_by(login, jobs, role):
    told = attacks(role, jobs)

    with psycopg.connect(login(role)) as connection:
        came_of = {attack: attempt(connection, told[attack]) for attack in told}

    assert came_of == dict.fromkeys(told, "refused")


@pytest.mark.parametrize("role", ["scheduler", "one"])
def test_a_row_is_as_young_as_it_says_whatever_its_job_says(login, jobs, role):
    with psycopg.connect(login(role)) as connection:
        connection.execute(str(set_back(jobs)).encode())

        with pytest.raises(psycopg.errors.RaiseException, match="append-only, until 90 days"):
            connection.execute("DELETE FROM ifood_job_events WHERE job_id = %s", [jobs.running])


@pytest.mark.parametrize("role", ["scheduler", "worker", "admin", "migrator", "one"])
def test_what_is_refused_is_refused_for_what_is_wrong_with_it(login, jobs, role):
    """The same act with nothing wrong is written, and names the login beside the actor."""
    with psycopg.connect(login(role)) as connection:
        connection.execute(str(own_move(role, jobs)).encode())
        user = connection.info.user
    with psycopg.connect(login("one")) as connection:
        last = connection.execute(
            "SELECT event_no, actor, login FROM ifood_job_events WHERE job_id = %s"
            " ORDER BY event_no DESC LIMIT 1",
            [jobs.pending],
        ).fetchone()

    assert last == (3, "maria", user)


OTHER: Final = {
    "uuid": "gen_random_uuid()",
    "text": "'sales_'",
    "integer": "coalesce({}, 0) + 1",
    "date": "{} - 1",
    "timestamp with time zone": "coalesce({}, now()) - INTERVAL '1 day'",
    "jsonb": """'{{"rows": 9}}'""",
}
ODD: Final = {"status": "'pending'", "run_id": "NULL"}


def change_alone(connection: psycopg.Connection, job_id: UUID, column: str, kind: str) -> str:
    value = ODD.get(column, OTHER[kind].format(column))
    written = f"SELECT count(job_id) FROM ifood_job_events WHERE job_id = '{job_id}'".encode()
    try:
        with connection.transaction(force_rollback=True):
            before = connection.execute(written).fetchone()
            change = f"UPDATE ifood_jobs SET {column} = {value} WHERE id = '{job_id}'"
            connection.execute(change.encode())
            return "a row" if connection.execute(written).fetchone() != before else "no trace"
    except REFUSALS:
        return "refused"


@pytest.mark.parametrize("role", EVERYBODY)
def test_a_change_of_one_column_alone_is_refused_or_leaves_a_row_by(login, jobs, role):
    with psycopg.connect(login("one")) as connection:
        columns = connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = 'ifood_jobs'"
        ).fetchall()
    with psycopg.connect(login(role)) as connection:
        came_of = {
            name: change_alone(connection, jobs.running, name, kind) for name, kind in columns
        }

    traceless = {name for name, outcome in came_of.items() if outcome == "no trace"}
    assert traceless <= UNTOLD.keys()
    if role == "one":  # who may all: nothing stands in the list that need not
        assert traceless == UNTOLD.keys()
    if role == "operator":  # what repairs jobs goes on to do so
        assert {name for name, outcome in came_of.items() if outcome == "a row"} == {
            *("status", "scheduled_for", "attempts", "next_retry_at")
        }


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("statement", ["DELETE FROM ifood_jobs", "TRUNCATE ifood_jobs"])
def test_jobs_are_deleted_by_owners_only_and_their_history_stays(login, engine, statement):
    every = text("SELECT event::text FROM ifood_job_events AS event ORDER BY id")
    with transaction(engine) as tx:
        before = tx.execute(every).all()

    deleting = set()
    for role in EVERYBODY:
        with psycopg.connect(login(role)) as connection:
            if attempt(connection, [statement]) == "done":
                deleting.add(role)
    execute(login("migrator"), statement)

    assert deleting == {"migrator", "one"}
    with transaction(engine) as tx:
        assert tx.execute(every).all() == before


def test_an_act_leads_from_and_to_the_statuses_of_the_machine_and_no_others(database_url, jobs):
    moves = [
        (act, source, target)
        for act, source, target in product(Act, JobStatus, JobStatus)
        if act is not Act.MANUAL  # which only the triggers write
    ]
    with psycopg.connect(database_url) as connection:
        taken = {
            (act, source, target)
            for act, source, target in moves
            if attempt(
                connection, [*standing(jobs.failed, source), Move(jobs.failed, act, source, target)]
            )
            == "done"
        }

    assert taken == ALLOWED.intersection(moves)


def standing(job: UUID, status: JobStatus) -> list[str]:
    """Give what lets a job be in a status, as if it had come there by itself."""
    wake = "NULL" if status in FINAL else "now()"
    return [
        "SET LOCAL session_replication_role = replica",
        f"UPDATE ifood_jobs SET status = '{status}', wake_at = {wake} WHERE id = '{job}'",
        f"UPDATE ifood_job_events SET to_status = '{status}' WHERE job_id = '{job}'",
        "SET LOCAL session_replication_role = origin",
    ]


def test_a_history_that_was_forgotten_goes_on_with_a_requeue(engine, jobs):
    with transaction(engine) as tx:
        Ledger(tx, actor="maria").requeue([jobs.forgotten], reason="again")
    dispatch(engine, jobs.forgotten)

    assert acts_of(engine, jobs.forgotten) == ["requeue", "dispatch"]


def test_an_old_history_is_deleted_whole(engine, login, jobs):
    with psycopg.connect(login("scheduler")) as connection:
        connection.execute("DELETE FROM ifood_job_events WHERE job_id = %s", [jobs.old])

    assert acts_of(engine, jobs.old) == []


# --- what stands between a login and the table ------------------------------------------------


def posing(connection: psycopg.Connection, role: str, statements: Sequence[object]) -> str:
    """Do as `attempt` does for a login that a superuser poses as, in a prepared transaction."""
    if role != "one":
        connection.execute(f"SET LOCAL SESSION AUTHORIZATION ifood_{role}".encode())
    return attempt(connection, statements)


@pytest.mark.parametrize("role", ["scheduler", "worker", "admin", "migrator", "one"])
@pytest.mark.parametrize(("minutes", "outcome"), [(4, "done"), (6, "refused")])
def test_a_message_that_takes_long_dates_no_row_back_by(
    login, database_url, jobs, role, minutes, outcome
):
    """The time of a statement is that of its message, before whatever else the message does."""
    assert login("admin")
    with psycopg.connect(database_url) as connection, connection.transaction(force_rollback=True):
        connection.execute(
            f"""
            CREATE SCHEMA later;
            GRANT USAGE ON SCHEMA later TO PUBLIC;
            CREATE FUNCTION later.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
              'SELECT pg_catalog.clock_timestamp() + INTERVAL ''{minutes} minutes''';
            ALTER FUNCTION ifood_judge_rows SET search_path = later, pg_catalog, public
            """.encode()
        )

        assert posing(connection, role, [own_move(role, jobs)]) == outcome


@pytest.mark.parametrize("role", ["scheduler", "worker", "admin"])
def test_a_trigger_of_ones_own_opens_no_door_to(login, database_url, jobs, role):
    """Where somebody may make temporary tables, which roles.sql takes from all."""
    assert login("admin")
    with psycopg.connect(database_url) as connection, connection.transaction(force_rollback=True):
        database = connection.info.dbname
        connection.execute(f'GRANT TEMPORARY ON DATABASE "{database}" TO PUBLIC'.encode())
        connection.execute(f"SET LOCAL SESSION AUTHORIZATION ifood_{role}".encode())
        moves = {
            "its own": own_move(role, jobs),
            "called manual": own_move(role, jobs, act="manual"),
            "a number is skipped": Move(jobs.failed, "requeue", "failed", step=3),
        }

        came_of = {name: attempt(connection, by_trigger(moves[name])) for name in moves}

    assert came_of == {"its own": "done", **dict.fromkeys(list(moves)[1:], "refused")}


def by_trigger(move: Move) -> list[str]:
    return [
        "CREATE TEMPORARY TABLE own (n integer)",
        f"""CREATE FUNCTION pg_temp.own() RETURNS trigger LANGUAGE plpgsql AS $own$ BEGIN
          EXECUTE $move${move}$move$;
          RETURN NEW;
        END $own$""",
        "CREATE TRIGGER own BEFORE INSERT ON own FOR EACH ROW EXECUTE FUNCTION pg_temp.own()",
        "INSERT INTO own VALUES (1)",
    ]


@pytest.mark.parametrize("elsewhere", ["scheduler", "worker", "admin"])
def test_an_owner_may_do_all_acts_whatever_it_is_in_another_database(
    login, database_url, jobs, elsewhere
):
    """Roles belong to the server: who owns the tables here may have a role for others there."""
    assert login("admin")
    acts = [
        Move(jobs.pending),
        Move(jobs.pending, "cancel", target="cancelled"),
        Move(jobs.running, "succeed", "running", "success"),
    ]
    with psycopg.connect(database_url) as connection, connection.transaction(force_rollback=True):
        connection.execute("CREATE ROLE both_")
        connection.execute(f"GRANT ifood_{elsewhere}, ifood_migrator TO both_".encode())
        connection.execute("SET LOCAL SESSION AUTHORIZATION both_")

        assert [attempt(connection, [act]) for act in acts] == ["done"] * len(acts)


def test_what_a_change_by_hand_replaced_stands_beside_it(engine, login, jobs):
    before = row_of(engine, jobs.failed)
    execute(
        login("admin"),
        "UPDATE ifood_jobs SET merchant_id = 'other', job_day = '2020-01-01', attempts = 7,"
        f" created_at = '2020-01-01', last_error = repeat('x', 9000) WHERE id = '{jobs.failed}'",
    )
    execute(
        login("operator"), f"UPDATE ifood_jobs SET status = 'pending' WHERE id = '{jobs.failed}'"
    )
    execute(login("admin"), f"UPDATE ifood_jobs SET last_error = NULL WHERE id = '{jobs.failed}'")

    with transaction(engine) as tx:
        *_, first, second, third = (event.detail for event in history(tx, jobs.failed))
    assert first is not None
    created_at = first["former"].pop("created_at")
    assert datetime.fromisoformat(created_at) == before["created_at"]
    assert first == {
        "former": {
            "merchant_id": before["merchant_id"],
            "job_day": str(before["job_day"]),
            "attempts": before["attempts"],
            "last_error": before["last_error"],
        }
    }
    assert second is None  # its row says which status it had
    assert third == {"former": {"last_error": '"' + "x" * 199}}


def test_a_history_is_not_forgotten_while_its_job_is_requeued(engine, login, jobs):
    forget = f"DELETE FROM ifood_job_events WHERE job_id = '{jobs.old}'".encode()
    with psycopg.connect(login("scheduler")) as forgetting, transaction(engine) as requeueing:
        Ledger(requeueing, actor="maria").requeue([jobs.old], reason="again")
        forgetting.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            forgetting.execute(forget)

    assert acts_of(engine, jobs.old)[-1] == "requeue"


def test_a_history_is_not_forgotten_by_who_has_not_seen_that_its_job_was_requeued(
    engine, login, jobs
):
    forget = f"DELETE FROM ifood_job_events WHERE job_id = '{jobs.old}'".encode()
    with psycopg.connect(login("scheduler")) as forgetting:
        forgetting.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        forgetting.execute("SELECT FROM ifood_jobs")
        with transaction(engine) as requeueing:
            Ledger(requeueing, actor="maria").requeue([jobs.old], reason="again")
        with pytest.raises(psycopg.errors.SerializationFailure):
            forgetting.execute(forget)

    assert acts_of(engine, jobs.old)[-1] == "requeue"


def test_a_reason_that_would_move_the_cursor_is_written_without_it(engine, jobs):
    with transaction(engine) as tx:
        Ledger(tx, actor="maria").requeue([jobs.failed], reason="a\x1b[2J\nb\x00\u2028c")

    with transaction(engine) as tx:
        assert history(tx, jobs.failed)[-1].reason == "a [2J b c"
