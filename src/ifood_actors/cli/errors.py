"""`ifood-actors errors`: what fails, most common first."""

from datetime import timedelta
from typing import Annotated

import typer

from ifood_actors.cli.options import Json, Since
from ifood_actors.cli.output import document, note, table

_DAY = timedelta(hours=24)


def errors(
    *,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many groups.")] = 50,
    json: Json = False,
) -> None:
    """Group failed jobs by error; of the last 24h unless given."""
    from ifood_actors import config
    from ifood_actors.cli.database import open_database
    from ifood_actors.db import transaction
    from ifood_actors.ledger import reports

    settings = config.load()
    with open_database(settings) as engine, transaction(engine) as tx:
        groups = reports.error_groups(tx, since=since or _DAY, limit=limit)
    if json:
        document(groups)
        return
    table(
        ("jobs", "kind", "code", "message", "first seen", "last seen", "sample"),
        [
            (g.jobs, g.kind, g.error_code, g.message, g.first_seen, g.last_seen, g.sample_job)
            for g in groups
        ],
        zone=settings.timezone,
    )
    if not groups:
        note("no job failed in that time")
