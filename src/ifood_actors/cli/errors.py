"""`ifood-actors errors`: what fails, most common first."""

from typing import Annotated

import typer

from ifood_actors.cli.options import ERRORS_SINCE, MOST, Json, KindFilter, Since
from ifood_actors.cli.output import document, duration, note, table


def errors(
    *,
    since: Since = None,
    kind: KindFilter = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many groups.")] = 50,
    json: Json = False,
) -> None:
    """
    Group failed jobs by error, most common first.

    Those that failed in the last 24h unless given. Messages that differ only in numbers, ids,
    dates, URLs or quoted values are one group; `jobs requeue --error-group` runs it anew.
    """
    from ifood_actors.cli.database import open_database
    from ifood_actors.config import loading
    from ifood_actors.db import transaction
    from ifood_actors.ledger.queries import error_groups

    settings = loading.load()
    back = since or ERRORS_SINCE
    with open_database(settings) as engine, transaction(engine) as tx:
        groups = error_groups(tx, since=back, kind=kind, limit=limit + 1)
    if json:
        document(groups[:limit])
    else:
        table(
            ("jobs", "group", "kind", "code", "message", "first seen", "last seen", "sample"),
            [
                (
                    *(g.jobs, g.id, g.kind, g.error_code, g.message),
                    *(g.first_seen, g.last_seen, g.sample_jobs[0]),
                )
                for g in groups[:limit]
            ],
            zone=settings.timezone,
        )
        again = f"ifood-actors jobs requeue --error-group GROUP --since {duration(back)}"
        note(f"to run a group anew: {again}" if groups else "no job failed in that time")
    if len(groups) > limit:
        note(f"only the first {limit} are shown: see --limit")
