"""Distributed applications on a real Postgres: owners confirm, refresh tokens rotate."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
from dramatiq.middleware import Shutdown, raise_thread_exception
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from support.clock import PATIENCE_SECONDS, eventually
from support.distributed import (
    BOOKSHOP,
    CIPHER,
    QUICKLY,
    asking,
    authorize,
    authorizer_of,
    expire,
    import_accounts,
    link,
    pass_by,
    process,
    register,
    stored,
)
from support.world import KEY as FLEET_KEY
from support.world import stand_up

from ifood_actors.db import transaction
from ifood_actors.errors import (
    CredentialsRefused,
    Forbidden,
    NeedsAuthorization,
    ServerFault,
    Throttled,
)
from ifood_actors.ifood.connect import shared_access
from ifood_actors.ifood.http import ApiIdentity, AppCredentials, IfoodClient
from ifood_actors.ifood.http.token_requests import Grant
from ifood_actors.ifood.http.transport import http_client
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.tokens import Cipher
from ifood_actors.ifood.tokens.refresh import TokenRequest
from ifood_actors.ifood.tokens.store import Authorizations
from ifood_actors.ledger import Ledger
from ifood_simulator import Settings, Simulator, running

pytestmark = pytest.mark.services

SPAN = {"beginCalculationDate": "2026-01-01", "endCalculationDate": "2026-01-20"}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    settings = Settings(
        merchants=6,
        apps=(BOOKSHOP,),
        oauth_per_minute=None,
        token_size=8000,
        no_plan_share=0,
    )
    with running(settings) as simulator:
        yield simulator


@pytest.fixture
def stores(simulator: Simulator) -> list[str]:
    return [merchant.id for merchant in simulator.merchants()]


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with http_client(threads=16) as http:
        yield http


@pytest.fixture
def identity(engine: Engine, simulator: Simulator, http: httpx.Client, stores: list[str]):
    """Give the authorization of the first two stores."""
    register(engine)
    import_accounts(engine, simulator)
    identity = authorize(engine, simulator, http, stores[:2])
    link(engine, identity, stores[:2])
    return identity


@pytest.fixture
def request_(simulator, http):
    return CountedRequest(asking(simulator, http))


class CountedRequest:
    """The token endpoint, with what was asked of it, and a place to fail at."""

    def __init__(self, request: TokenRequest) -> None:
        self._request = request
        self.spent: list[str | None] = []
        self.before: Callable[[], object] = lambda: None
        self.after: Callable[[], object] = lambda: None

    def __call__(self, credentials: AppCredentials, refresh_token: str | None) -> Grant:
        self.spent.append(refresh_token)
        self.before()
        grant = self._request(credentials, refresh_token)
        self.after()
        return grant


def raising(error: Exception) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


def read(engine, simulator, http, tokens, identity, merchant):
    limiter = Limiter(engine, rates={"financial": QUICKLY, "merchant": QUICKLY})
    client = IfoodClient(base_url=simulator.url, http=http, access=shared_access(tokens, limiter))
    api = client.merchant(identity, merchant, on_progress=lambda: None)
    return api.get("anticipations", SPAN)


def test_an_authorization_opens_its_stores_and_no_others(
    engine, simulator, http, stores, identity, request_
):
    tokens = process(engine, request_)

    for merchant in stores[:2]:
        assert read(engine, simulator, http, tokens, identity, merchant)
    with pytest.raises(Forbidden):
        read(engine, simulator, http, tokens, identity, stores[2])
    assert request_.spent == []  # the first token came with the authorization


def test_accounts_are_linked_by_merchant_and_others_are_named(engine, stores, identity):
    with transaction(engine) as tx:
        tx.execute(text("DELETE FROM accounts WHERE ifood_merchant_id = :id"), {"id": stores[1]})

    linked = link(engine, identity, stores[:2])

    with transaction(engine) as tx:
        found = tx.execute(
            text("SELECT ifood_merchant_id FROM accounts WHERE authorization_id IS NOT NULL")
        ).scalars()
        assert list(found) == [stores[0]]
    assert linked.unknown == [stores[1]]
    assert len(linked.accounts) == 1


def test_a_renewal_saves_the_next_refresh_token_with_the_access_token(
    engine, simulator, http, stores, identity, request_
):
    for _ in range(3):
        expire(engine)
        read(engine, simulator, http, process(engine, request_), identity, stores[0])

    assert len(set(request_.spent)) == 3  # each worked once, and none came twice
    assert None not in request_.spent


def test_a_stampede_of_processes_spends_one_refresh_token(engine, identity, request_, monkeypatch):
    monkeypatch.setattr(
        "ifood_actors.ifood.tokens.refresh.WAIT_FOR_OTHERS", timedelta(seconds=PATIENCE_SECONDS)
    )
    expire(engine)
    request_.before = lambda: threading.Event().wait(0.3)
    start = threading.Barrier(12)

    def ask(tokens):
        start.wait()
        return tokens.token(identity)

    with ThreadPoolExecutor(12) as pool:
        given = list(pool.map(ask, [process(engine, request_) for _ in range(12)]))

    assert len(set(given)) == 1
    assert len(request_.spent) == 1


def test_tokens_of_8000_characters_go_there_and_back(engine, identity, request_):
    expire(engine)

    token = process(engine, request_).token(identity)

    assert len(token) >= 8000
    assert len(request_.spent[0] or "") >= 8000
    assert process(engine, request_).token(identity) == token


def test_neither_token_is_stored_in_clear(engine, identity, request_):
    expire(engine)
    token = process(engine, request_).token(identity)

    with transaction(engine) as tx:
        row = tx.execute(text("SELECT held::text FROM ifood_authorizations AS held")).scalar_one()

    assert token not in row
    assert request_.spent[0] not in row


def spend_behind_the_fleets_back(engine, simulator, http, identity):
    """Use up the stored refresh token without storing its successor."""
    sealed = stored(engine, identity, "refresh_token_encrypted")
    assert isinstance(sealed, str)
    credentials = AppCredentials(BOOKSHOP.client_id, BOOKSHOP.client_secret)
    asking(simulator, http)(credentials, CIPHER.decrypt(sealed))


def be_refused_twice(engine, request_, identity):
    with pytest.raises(Throttled):
        process(engine, request_).token(identity)
    pass_by(engine, 6)
    with pytest.raises(NeedsAuthorization):
        process(engine, request_).token(identity)


def test_a_used_refresh_token_needs_the_owner_once_and_asks_iFood_no_more(  # noqa: N802 - its name
    engine, simulator, http, identity, request_, caplog
):
    spend_behind_the_fleets_back(engine, simulator, http, identity)
    expire(engine)

    with caplog.at_level(logging.ERROR):
        be_refused_twice(engine, request_, identity)
        for _ in range(3):
            with pytest.raises(NeedsAuthorization, match="apps authorize bookshop"):
                process(engine, request_).token(identity)

    assert len(request_.spent) == 2
    assert caplog.text.count("authorization.needed") == 1
    assert stored(engine, identity, "needs_authorization_since") is not None


def test_the_access_token_lives_on_when_the_refresh_token_is_refused(
    engine, simulator, http, stores, identity, request_
):
    spend_behind_the_fleets_back(engine, simulator, http, identity)
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_authorizations SET renew_at = now()"))

    for _ in range(3):
        tokens = process(engine, request_)
        assert read(engine, simulator, http, tokens, identity, stores[0])
        pass_by(engine, 6)

    assert len(request_.spent) == 2
    assert stored(engine, identity, "needs_authorization_since") is not None


def test_a_new_authorization_by_the_owner_ends_the_need(
    engine, simulator, http, stores, identity, request_
):
    spend_behind_the_fleets_back(engine, simulator, http, identity)
    expire(engine)
    be_refused_twice(engine, request_, identity)

    again = authorize(engine, simulator, http, stores[:2])

    assert again == identity  # the label is the same
    assert read(engine, simulator, http, process(engine, request_), identity, stores[0])


def test_a_label_that_is_taken_meanwhile_costs_neither_owner_the_refresh_token(
    engine, simulator, http, stores, identity
):
    before = stored(engine, identity, "refresh_token_encrypted")
    authorizer = authorizer_of(engine, simulator, http)
    started = authorizer.start(BOOKSHOP.name)
    code = simulator.authorize(started.code, frozenset(stores[2:]))

    added = authorizer.finish(
        BOOKSHOP.name, code, user_code=started, label="owner", actor="cli maria@host"
    )

    assert added.name == f"owner {started.code}"
    assert added.identity != identity
    assert stored(engine, identity, "refresh_token_encrypted") == before


def test_an_authorization_whose_accounts_moved_to_another_is_removed(
    engine, simulator, http, stores, identity
):
    assert stored(engine, identity, "name") == "owner"
    other = authorize(engine, simulator, http, stores[:3], label="new owner")

    link(engine, other, stores[:3])

    with transaction(engine) as tx:
        names = tx.execute(text("SELECT name FROM ifood_authorizations")).scalars()
        assert list(names) == ["new owner"]


def die(*_args: object, **_kwargs: object) -> None:
    raise SystemExit


def kill_when(monkeypatch, tokens, act):
    """Let a process end at one of its statements; it does not come to the ones after that."""
    monkeypatch.setattr(tokens._stored, act, die)
    monkeypatch.setattr(tokens._stored, "unlock", lambda *_args, **_kwargs: None)


def test_a_process_killed_after_the_answer_loses_the_refresh_token_and_nothing_else(
    engine, simulator, http, stores, identity, request_, monkeypatch
):
    """The one gap that is left: see docs/decisions/0010."""
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_authorizations SET renew_at = now()"))
    killed = process(engine, request_)
    kill_when(monkeypatch, killed, "save")
    with pytest.raises(SystemExit):
        killed.token(identity)

    # The lock ends by itself, and until the access token does, jobs go on.
    assert read(engine, simulator, http, process(engine, request_), identity, stores[0])
    for _ in range(2):
        pass_by(engine, 6)
        assert read(engine, simulator, http, process(engine, request_), identity, stores[0])
    assert stored(engine, identity, "needs_authorization_since") is not None

    expire(engine)
    with pytest.raises(NeedsAuthorization):
        process(engine, request_).token(identity)
    assert len(request_.spent) == 3


def test_a_process_killed_before_the_request_loses_nothing(
    engine, simulator, http, stores, identity, request_, monkeypatch
):
    expire(engine)
    killed = process(engine, request_)
    kill_when(monkeypatch, killed, "save")
    request_.before = die
    with pytest.raises(SystemExit):
        killed.token(identity)
    request_.before = lambda: None
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_authorizations SET locked_until = now()"))

    assert read(engine, simulator, http, process(engine, request_), identity, stores[0])


def test_an_interrupted_job_does_not_interrupt_its_renewal(engine, identity, request_):
    """Dramatiq raises Shutdown and TimeLimitExceeded in the job's thread, wherever it is."""
    expire(engine)
    asked, interrupted = threading.Event(), threading.Event()
    request_.before = asked.set
    request_.after = lambda: interrupted.wait(PATIENCE_SECONDS)
    tokens, ended = process(engine, request_), []

    def job() -> None:
        try:
            tokens.token(identity)
        except Shutdown:
            ended.append("interrupted")

    thread = threading.Thread(target=job)
    thread.start()
    assert asked.wait(PATIENCE_SECONDS)
    raise_thread_exception(thread.ident, Shutdown)
    interrupted.set()
    thread.join(PATIENCE_SECONDS)
    tokens._sheltered.shutdown()

    assert ended == ["interrupted"]
    assert process(engine, request_).token(identity)
    assert len(request_.spent) == 1


def test_an_answer_is_saved_although_postgres_blinks(engine, identity, request_, monkeypatch):
    expire(engine)
    blinks = iter(range(3))
    save = Authorizations.save

    def blinking(*args, **kwargs):
        if next(blinks, None) is not None:
            raise OperationalError("UPDATE", {}, Exception("gone"))
        save(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Authorizations, "save", blinking)
        process(engine, request_).token(identity)

    expire(engine)
    assert process(engine, request_).token(identity)
    assert len(set(request_.spent)) == 2


def test_a_frozen_process_still_saves_the_only_refresh_token(engine, identity, request_):
    """Its lock has ended and another has been refused, but nobody else has the new token."""
    expire(engine)
    other = process(engine, request_)

    def freeze():
        request_.after = lambda: None
        with transaction(engine) as tx:
            tx.execute(text("UPDATE ifood_authorizations SET locked_until = now()"))
        with pytest.raises(Throttled):
            other.token(identity)

    request_.after = freeze
    process(engine, request_).token(identity)

    assert stored(engine, identity, "refused_at") is None
    expire(engine)
    assert process(engine, request_).token(identity)


def test_an_authorization_given_meanwhile_is_not_overwritten_by_an_old_renewal(
    engine, simulator, http, stores, identity, request_
):
    expire(engine)
    request_.after = lambda: authorize(engine, simulator, http, stores[:2])

    process(engine, request_).token(identity)

    request_.after = lambda: None
    expire(engine)
    assert read(engine, simulator, http, process(engine, request_), identity, stores[0])


def test_a_wrong_secret_is_asked_about_once_for_all_authorizations(
    engine, simulator, http, stores, identity, request_
):
    other = authorize(engine, simulator, http, stores[2:], label="other")
    expire(engine)
    request_.before = raising(CredentialsRefused("401 Bad credentials", of_application=True))

    for each in (identity, other, identity):
        with pytest.raises(Throttled, match="Bad credentials"):
            process(engine, request_).token(each)

    assert len(request_.spent) == 1
    register(engine)  # a new secret; the refresh tokens are still there
    request_.before = lambda: None
    assert process(engine, request_).token(other)


def test_a_fault_of_iFood_spends_nothing(engine, identity, request_):  # noqa: N802 - its name
    expire(engine)
    request_.before = raising(ServerFault("503"))
    with pytest.raises(ServerFault):
        process(engine, request_).token(identity)
    request_.before = lambda: None
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_authorizations SET locked_until = now()"))

    assert process(engine, request_).token(identity)
    assert request_.spent[0] == request_.spent[1]


def test_a_token_is_replaced_ahead_of_time_once_by_several_schedulers(engine, identity, request_):
    seen = stored(engine, identity, "renewed_at")
    one, two = process(engine, request_), process(engine, request_)

    renewed = [each.refresh(identity, renewed_at=seen) for each in (one, two, one)]

    assert renewed == [True, False, False]
    assert len(request_.spent) == 1


def test_an_account_without_an_authorization_needs_one(engine, identity, request_):
    with pytest.raises(NeedsAuthorization):
        process(engine, request_).token(ApiIdentity(identity.app_id))

    assert request_.spent == []


def test_a_refresh_token_is_taken_for_a_week(engine, identity):
    lives = stored(engine, identity, "refresh_expires_at - renewed_at")

    assert timedelta(hours=168) <= lives < timedelta(hours=168, seconds=1)


def test_jobs_fail_without_asking_until_the_owner_has_confirmed(
    simulator, http, stores, database_url, broker_url
):
    with (
        stand_up(simulator, database_url=database_url, broker_url=broker_url) as ifood,
        ifood.working(),
    ):
        seen = len(simulator.journal_since())
        failed = ifood.run("anticipations_daily")
        asked = simulator.journal_since(seen)

        cipher = Cipher([FLEET_KEY])
        identity = authorize(ifood.engine, simulator, http, stores, cipher=cipher)
        link(ifood.engine, identity, stores)
        with transaction(ifood.engine) as tx:
            Ledger(tx, actor="test").requeue([job["id"] for job in failed], reason="confirmed")
        eventually(ifood.idle)

        ended = {(job["status"], job["error_code"], job["attempts"]) for job in failed}
        assert ended == {("failed", "needs_authorization", 1)}
        assert asked == []
        assert ifood.rows("SELECT FROM ifood_jobs WHERE status <> 'success'") == []
