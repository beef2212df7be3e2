"""`ifood-actors db`: the schema."""

import typer

from ifood_actors.cli.options import DryRun, Json
from ifood_actors.cli.output import count, document, outcome, say

app = typer.Typer(help="The schema: migrate it, compare it with the code.", no_args_is_help=True)


@app.command()
def upgrade(*, dry_run: DryRun = False, json: Json = False) -> None:
    """Apply the migrations that the database lacks."""
    from ifood_actors import migrations
    from ifood_actors.cli.caller import operator
    from ifood_actors.cli.database import open_database
    from ifood_actors.config import loading

    settings = loading.load()
    with open_database(settings, migrated=False) as engine:
        with engine.connect() as connection:
            waiting = migrations.pending(connection)
        if dry_run:
            would = f"would apply {count(len(waiting), 'migration')}: {', '.join(waiting) or '-'}"
            outcome(would, {"dry_run": True, "applied": waiting}, json=json)
            return
        applied = migrations.upgrade(
            settings.require_database_url(), schema=settings.database_schema, actor=operator()
        )
    done = f"applied {', '.join(applied)}" if applied else "the database is up to date"
    outcome(done, {"dry_run": False, "applied": applied}, json=json)


@app.command()
def check(*, json: Json = False) -> None:
    """Compare schema and code; exit code 1 on a difference."""
    from ifood_actors import migrations
    from ifood_actors.cli.database import open_database
    from ifood_actors.config import loading
    from ifood_actors.migrations.comparison import differences_of

    with (
        open_database(loading.load(), migrated=False) as engine,
        engine.connect() as connection,
    ):
        pending = migrations.pending(connection)
        differences = [] if pending else differences_of(connection)
    if json:
        document({"pending": pending, "differences": differences})
    for revision in () if json else pending:
        say(f"not applied: {revision}; run `ifood-actors db upgrade`")
    for difference in () if json else differences:
        say(f"differs: {difference}")
    if pending or differences:
        raise typer.Exit(1)
    if not json:
        say("the schema is what the code expects")
