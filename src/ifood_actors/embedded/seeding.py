"""A ledger that knows a simulator: its application and its accounts."""

from collections.abc import Sequence

from sqlalchemy import Engine

from ifood_actors.accounts import import_sheet
from ifood_actors.db import transaction
from ifood_actors.ifood.http import AppCredentials
from ifood_actors.ifood.tables import AppKind
from ifood_actors.ifood.tokens import Cipher, register_app
from ifood_simulator import Simulator


def seed(engine: Engine, simulator: Simulator, *, keys: Sequence[str]) -> None:
    """
    Store a simulator's first application and accounts, as `apps add` and `accounts import` do.

    The database has its tables. `keys` are those of IFOOD_ENCRYPTION_KEYS, the newest first.
    """
    app = simulator.settings.apps[0]
    with transaction(engine) as tx:
        register_app(
            tx,
            Cipher(keys),
            name=app.name,
            kind=AppKind(app.kind),
            credentials=AppCredentials(app.client_id, app.client_secret),
        )
        import_sheet(tx, simulator.accounts_csv().encode())
