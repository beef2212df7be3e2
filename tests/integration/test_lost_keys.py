"""A process that lacks a key does no harm to what others can read."""

import logging
import socket
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import Engine, text
from support.clock import eventually
from support.distributed import process, register
from support.program import Program
from support.world import KEY, stand_up

from ifood_actors.broker import LadderBroker
from ifood_actors.db import transaction
from ifood_actors.delivery.job_broker import compose_broker
from ifood_actors.delivery.messages import JobMessage
from ifood_actors.errors import Throttled, UsageError
from ifood_actors.ifood.http import ApiIdentity, AppCredentials
from ifood_actors.ifood.http.token_requests import Grant
from ifood_actors.ifood.tokens import Cipher
from ifood_actors.ifood.tokens.rotation import require_readable, rotate_secrets
from ifood_actors.worker.composition import working
from ifood_simulator import App, Settings, running

pytestmark = pytest.mark.services

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
BEFORE, BETWEEN, AFTER = Cipher([OLD]), Cipher([NEW, OLD]), Cipher([NEW])
WRONG = Cipher([Fernet.generate_key().decode()])
PUT_OFF = "SELECT FROM ifood_jobs WHERE status = 'pending' AND next_retry_at > now()"
ENDED = "SELECT FROM ifood_jobs WHERE status = 'success'"
OPEN = f"{PUT_OFF.replace('>', '<=')} OR status = 'running'"
PAIR = ("access_token_encrypted", "refresh_token_encrypted")


class Endpoint:
    """Gives `access-1`, `refresh-1`, ...; counts what is spent."""

    def __init__(self) -> None:
        self.spent: list[str | None] = []

    def __call__(self, _: AppCredentials, refresh_token: str | None) -> Grant:
        self.spent.append(refresh_token)
        number = len(self.spent)
        return Grant(f"access-{number}", timedelta(hours=3), f"refresh-{number}")


def store(
    engine: Engine, app_id: UUID, name: str, cipher: Cipher, *, due: bool = False
) -> ApiIdentity:
    with transaction(engine) as tx:
        id_ = tx.execute(
            text("""
                INSERT INTO ifood_authorizations (app_id, name, access_token_encrypted,
                  refresh_token_encrypted, renewed_at, expires_at, renew_at, refresh_expires_at)
                VALUES (:app_id, :name, :access, :refresh, now(), now() + '1 h',
                  now() + CAST(:fresh AS interval), now() + '7 d')
                RETURNING id
            """),
            {
                "app_id": app_id,
                "name": name,
                "access": cipher.encrypt(f"access of {name}"),
                "refresh": cipher.encrypt(f"refresh of {name}"),
                "fresh": "0 s" if due else "50 min",
            },
        ).scalar_one()
    return ApiIdentity(app_id, id_)


def sealed(engine: Engine) -> list[tuple[str, str]]:
    with transaction(engine) as tx:
        found = tx.execute(text(f"SELECT {', '.join(PAIR)} FROM ifood_authorizations ORDER BY id"))
        return [(row[0], row[1]) for row in found]


@pytest.mark.parametrize("due", [False, True])
def test_a_token_of_another_key_stays_as_it_is_and_is_not_spent(engine, caplog, due):
    app_id = register(engine, cipher=BETWEEN)
    owners = [store(engine, app_id, f"owner {number}", AFTER, due=due) for number in range(5)]
    before, endpoint = sealed(engine), Endpoint()
    lacking = process(engine, endpoint, cipher=BEFORE)

    with caplog.at_level(logging.ERROR):
        for identity in owners:
            with pytest.raises(Throttled, match="lack a key"):
                lacking.token(identity)
            with pytest.raises(Throttled, match="lack a key"):
                lacking.refresh(identity)
            lacking.invalidate(identity, "another token")

    assert sealed(engine) == before
    assert endpoint.spent == []
    assert caplog.text.count("secret.unreadable") >= len(owners)
    having = process(engine, endpoint, cipher=BETWEEN)
    given = [having.token(identity) for identity in owners]
    assert given == [f"access-{n + 1}" if due else f"access of owner {n}" for n in range(5)]


def test_a_client_secret_of_another_key_is_put_off_for_a_process_that_has_it(engine):
    app_id = register(engine, cipher=AFTER)
    identity = store(engine, app_id, "owner", AFTER, due=True)
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_authorizations SET expires_at = now()"))
    endpoint = Endpoint()

    with pytest.raises(Throttled, match="lack a key"):
        process(engine, endpoint, cipher=BEFORE).token(identity)

    assert process(engine, endpoint, cipher=AFTER).token(identity) == "access-1"
    assert endpoint.spent == ["refresh of owner"]


def test_a_rotation_holds_with_processes_of_old_and_new_keys_side_by_side(engine):
    app_id = register(engine, cipher=BEFORE)
    owners = [store(engine, app_id, f"owner {number}", BEFORE, due=True) for number in range(4)]
    endpoint = Endpoint()
    fleet_of = {
        cipher: process(engine, endpoint, cipher=cipher) for cipher in (BEFORE, BETWEEN, AFTER)
    }

    def every_process_asks() -> None:
        for tokens in fleet_of.values():
            for identity in owners:
                with suppress(Throttled):  # those that lack a key
                    assert tokens.token(identity)

    every_process_asks()
    rotate_secrets(engine, BETWEEN, actor="cli maria@host")
    every_process_asks()
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_authorizations SET renew_at = now(), expires_at = now()"))
    every_process_asks()
    rotate_secrets(engine, BETWEEN, actor="cli maria@host")

    assert all(AFTER.decrypt(access) and AFTER.decrypt(fresh) for access, fresh in sealed(engine))
    assert len(set(endpoint.spent)) == len(endpoint.spent)
    assert None not in endpoint.spent


def test_keys_that_read_no_client_secret_are_refused_and_one_is_enough(engine):
    require_readable(engine, WRONG)  # there are none yet
    register(engine, cipher=BEFORE)

    for cipher in (BEFORE, BETWEEN):
        require_readable(engine, cipher)
    with pytest.raises(UsageError, match="IFOOD_ENCRYPTION_KEYS"):
        require_readable(engine, WRONG)
    register(engine, cipher=WRONG, app=App(name="other", client_id="other", kind="distributed"))
    require_readable(engine, WRONG)


def test_a_process_whose_keys_read_no_client_secret_ends_with_2_and_one_line(
    engine, database_url, broker_url, tmp_path
):
    register(engine, cipher=BEFORE)
    command = Program(
        tmp_path,
        {
            "IFOOD_DATABASE_URL": database_url,
            "IFOOD_BROKER_URL": broker_url,
            "IFOOD_ENCRYPTION_KEYS": NEW,
        },
    )
    within_dramatiq = subprocess.run(
        [sys.executable, "-c", "import dramatiq.cli, ifood_actors.worker"],
        cwd=tmp_path,
        env=command.environment(),
        capture_output=True,
        check=False,
        text=True,
    )

    ended = [(told.code, told.err) for told in command.each([["scheduler"], ["worker"]])]
    ended.append((within_dramatiq.returncode, within_dramatiq.stderr))

    for code, told in ended:
        assert (code, told.count("\n")) == (2, 1), told
        assert "IFOOD_ENCRYPTION_KEYS: none of them reads any of the 1 client secrets" in told


def test_a_worker_without_the_key_costs_no_job_an_attempt_and_no_store_its_token(
    database_url, broker_url
):
    with (
        running(Settings(merchants=6, oauth_per_minute=None)) as simulator,
        stand_up(simulator, database_url=database_url, broker_url=broker_url) as ifood,
    ):
        keys = SecretStr(Fernet.generate_key().decode())
        lacking = compose_broker(
            ifood.settings.model_copy(update={"encryption_keys": keys}),
            engine=ifood.engine,
            make_broker=lambda chain: LadderBroker(
                broker_url, middleware=chain, check=JobMessage.from_message
            ),
        )
        ifood.plan("anticipations_daily")
        # The fleet's own scheduler and thread beside two threads of a worker with a wrong key.
        with ifood.working(threads=1), working(lacking, threads=2):
            eventually(lambda: ifood.rows(PUT_OFF) and ifood.rows(ENDED) and not ifood.rows(OPEN))
        lacking.close()

        assert ifood.rows("SELECT FROM ifood_jobs WHERE status = 'failed' OR attempts > 1") == []
        [held] = ifood.rows("SELECT * FROM ifood_authorizations")
        assert Cipher([KEY]).decrypt(held["access_token_encrypted"])
        assert held["unreadable_by"] == socket.gethostname()
