"""`ifood-actors db`: the schema."""

import typer

from ifood_actors.cli.options import DryRun, Json
from ifood_actors.cli.output import count, document, outcome, say

app = typer.Typer(help="The schema: migrate it, compare it with the code.", no_args_is_help=True)


@app.command()
def upgrade(*, dry_run: DryRun = False, json: Json = False) -> None:
    """Apply the migrations that the database lacks."""
    from ifood_actors.cli.work import db

    applied = db.upgrade(dry_run=dry_run)
    done = f"applied {', '.join(applied)}" if applied else "the database is up to date"
    would = f"would apply {count(len(applied), 'migration')}: {', '.join(applied) or '-'}"
    outcome(would if dry_run else done, {"dry_run": dry_run, "applied": applied}, json=json)


@app.command()
def check(*, json: Json = False) -> None:
    """Compare schema and code; exit code 1 on a difference."""
    from ifood_actors.cli.work import db

    pending, differences = db.check()
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
