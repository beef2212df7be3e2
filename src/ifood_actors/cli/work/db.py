"""The schema: what the database lacks, and where it differs from the code."""

from ifood_actors import migrations
from ifood_actors.cli.work.caller import operator
from ifood_actors.cli.work.database import opened
from ifood_actors.migrations.comparison import differences_of


def upgrade(*, dry_run: bool) -> list[str]:
    """Apply the migrations that the database lacks, or only name them."""
    with opened(migrated=False) as command:
        if dry_run:
            return command.read(migrations.pending)
        settings = command.settings
        return migrations.upgrade(
            settings.require_database_url(), schema=settings.database_schema, actor=operator()
        )


def check() -> tuple[list[str], list[str]]:
    """Give the migrations that are not applied, and when all are, what differs from the code."""
    with opened(migrated=False) as command:
        pending = command.read(migrations.pending)
        return pending, [] if pending else command.read(differences_of)
