"""Every command of the program: a call that works, calls that cannot, and what it needs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from typer.main import get_command

from ifood_actors.cli.main import app

POSTGRES, RABBITMQ, IFOOD = "Postgres", "RabbitMQ", "iFood"


@dataclass(frozen=True)
class Row:
    """
    How one command is tried; what stands in braces, the test fills in.

    `works` are arguments that succeed on a small fleet, `says` a part of what is then printed, and
    `facts` are names in the document of `--json`. A command that runs until it is told to stop, or
    that waits for a person, has no `works`: `shown` names the test that lets it succeed.
    `wrong` are arguments that cannot be used, beside an option that does not exist.
    `changes` is what a person decides by it, and leaves an act of its own name for
    (tests/e2e/test_cli_acts.py); a token that is renewed on the way is nobody's decision.
    """

    changes: str | None = field(kw_only=True)
    works: tuple[str, ...] | None = ()
    says: str = ""
    facts: tuple[str, ...] = ()
    wrong: tuple[tuple[str, ...], ...] = (("too", "many"),)
    needs: tuple[str, ...] = (POSTGRES,)
    code: int = 0
    shown: tuple[str, ...] = ()


_CHANGED_ACCOUNTS = ("dry_run", "inserted", "updated", "unchanged")
_DAYS = ("--from", "2026-03-01", "--to", "2026-03-31")
_BIG = "9" * 25

ROWS = {
    "demo": Row(
        changes=None,
        works=None,
        wrong=(("--accounts", "0"), ("--seconds", _BIG), ("--broker", "redis")),
        needs=(),
        shown=(
            "test_capacity_measured.py::test_the_command_foretells_how_long_the_demo_takes",
            "test_cli_matrix.py::test_the_demo_gives_its_report_to_a_program",
        ),
    ),
    "db upgrade": Row(changes="the schema", says="up to date", facts=("dry_run", "applied")),
    "db check": Row(changes=None, says="what the code expects", facts=("pending", "differences")),
    "doctor": Row(
        changes=None,
        says="ifood api",
        facts=("check", "verdict", "detail"),
        needs=(POSTGRES, RABBITMQ, IFOOD),
    ),
    "apps add": Row(
        changes="an application and its credentials",
        works=("simulated", "--client-id", "{client_id}", "--kind", "centralized"),
        says="application simulated: credentials replaced",
        facts=("dry_run", "application", "replaced"),
        wrong=(
            (),
            ("north", "--client-id", "c"),
            ("north", "--client-id", "c", "--kind", "other"),
            ("north", "--client-secret", "hunter2"),
            ("", "--client-id", "c", "--kind", "centralized"),
            ("n", "--client-id", "c", "--kind", "centralized", "--client-secret-file", "none"),
        ),
    ),
    "apps list": Row(changes=None, says="bookshop", facts=("name", "kind", "client_id")),
    "apps tokens": Row(
        changes=None,
        works=("simulated",),
        facts=("at", "authorizations", "windows"),
        wrong=(("a", "b"),),
    ),
    "apps authorize": Row(
        changes="an authorization, and the accounts that it reads",
        works=None,
        wrong=((), ("bookshop", "--label", "*")),
        needs=(POSTGRES, IFOOD),
        shown=(
            "test_cli_authorize.py::test_an_owner_authorizes_stores_and_their_accounts_are_linked",
            "test_cli_authorize.py::test_what_an_owner_gave_is_told_to_a_program",
        ),
    ),
    "apps retry": Row(
        changes="an authorization that was refused",
        works=("simulated",),
        says="authorization * of application simulated works",
        facts=("dry_run", "application", "authorization"),
        wrong=((), ("a", "b", "c")),
        needs=(POSTGRES, IFOOD),
    ),
    "secrets check": Row(
        changes=None, says="newest key", facts=("what", "newest", "older", "unreadable")
    ),
    "secrets rotate": Row(
        changes="under which key secrets are stored",
        says="0 secrets with the newest key; 0 cannot be read",
        facts=("dry_run", "rotated", "unreadable"),
    ),
    "accounts import": Row(
        changes="accounts",
        works=("accounts.csv",),
        says="1 inserted",
        facts=_CHANGED_ACCOUNTS,
        wrong=((), ("not-there.csv",), (".",), ("accounts.csv", "--sheet")),
    ),
    "accounts export": Row(
        changes=None, says="name,ifood_merchant_id,timezone", facts=("name", "priority")
    ),
    "accounts list": Row(
        changes=None,
        says="{merchant}",
        facts=("name", "ifood_merchant_id", "active"),
        wrong=(
            ("--limit", "0"),
            ("--limit", _BIG),
            ("--active=maybe",),
            ("--cnpj", "14380200000122"),
            ("--group", ""),
        ),
    ),
    "accounts check": Row(
        changes=None,
        says="that iFood does not list as ours",  # of which there are some
        facts=("checked", "ours", "others"),
        wrong=(("--app",), ("--cnpj", "1"), ("--active=maybe",)),
        needs=(POSTGRES, IFOOD),
        code=1,
        shown=("test_cli_accounts.py::test_accounts_that_ifood_does_not_list_are_told",),
    ),
    "accounts idle": Row(
        changes=None,
        works=("--kind", "anticipations_daily"),
        says="nothing since",
        wrong=(("--kind", "coffee"), ("--limit", "0"), ("too", "many")),
    ),
    "accounts enable": Row(
        changes="which accounts take part",
        works=("{merchant}",),
        says="1 already enabled",
        facts=("dry_run", "enabled"),
        wrong=((),),
    ),
    "accounts disable": Row(
        changes="which accounts take part",
        works=("{other_merchant}",),
        says="disabled 1 account",
        facts=("dry_run",),
        wrong=((),),
    ),
    "accounts discover": Row(
        changes="accounts, and what reads them",
        works=("--app", "simulated"),
        says="unchanged",
        facts=_CHANGED_ACCOUNTS,
        wrong=((), ("--app",)),
        needs=(POSTGRES, IFOOD),
    ),
    "plan": Row(
        changes="a run and its jobs",
        works=("anticipations_daily", "--over", "1h"),
        says="of anticipations_daily for",
        facts=("kind", "new", "dry_run", "first_slot"),
        wrong=(
            (),
            ("salez",),
            ("sales", "extra"),
            ("sales", "--over", "soon"),
            ("sales", "--over", "0"),
            ("sales", "--day", "2026-02-30"),
            ("sales", "--day", "0001-01-01"),
        ),
    ),
    "capacity": Row(
        changes=None,
        works=("--accounts", "1000"),
        says="bottleneck",
        facts=("accounts", "runs", "sizes"),
        wrong=(("--accounts", "0"), ("--kind", "salez"), ("--latency", "nan")),
    ),
    "scheduler": Row(
        changes=None,
        works=None,
        needs=(POSTGRES, RABBITMQ),
        shown=("test_cli_processes.py::test_from_an_empty_database_to_stored_records",),
    ),
    "worker": Row(
        changes=None,
        works=None,
        needs=(POSTGRES, RABBITMQ),
        shown=("test_cli_processes.py::test_from_an_empty_database_to_stored_records",),
    ),
    "web": Row(
        changes=None,
        works=None,
        wrong=(("--port", "99999"), ("--port", "http")),
        needs=(),
        shown=(
            "test_web.py::test_it_is_healthy_and_ready_and_stops_within_seconds",
            "test_web.py::test_it_says_which_service_is_away_and_no_secret",
        ),
    ),
    "simulator": Row(
        changes=None,
        works=None,
        wrong=(("--port", "99999"), ("--accounts", _BIG), ("--today", "soon"), ("--faults", "x")),
        needs=(),
        shown=("test_cli_processes.py::test_from_an_empty_database_to_stored_records",),
    ),
    "status": Row(
        changes=None,
        says="(2/3)",
        facts=("runs", "limits", "oldest_due"),
        wrong=(("--watch", "--json"), ("--interval", "nan")),
    ),
    "limits show": Row(
        changes=None,
        works=("simulated",),
        says="configured",
        facts=("app", "endpoint", "per_minute", "source", "since"),
        wrong=(("a", "b"),),
    ),
    "limits reset": Row(
        changes="the limits that iFood named",
        works=("simulated",),
        says="forgot 0 named limits of application simulated",
        facts=("dry_run", "application", "forgotten"),
        wrong=((), ("a", "b")),
    ),
    "jobs list": Row(
        changes=None,
        says="{failed}",
        facts=("id", "kind", "status"),
        wrong=(
            ("--status", "done"),
            ("--limit", "0"),
            ("--limit", _BIG),
            ("--since", "yesterday"),
            ("--account", ""),
        ),
    ),
    "jobs show": Row(
        changes=None,
        works=("{failed}",),
        says="server_fault",
        facts=("job", "history"),
        wrong=((), ("a", "b")),
    ),
    "jobs requeue": Row(
        changes="jobs",
        works=("{failed}",),
        says="requeued 1, skipped 0",
        facts=("dry_run", "requeued", "skipped"),
        wrong=(
            (),
            ("1a2b", "--error-group", "1a2b3c4d"),
            ("--failed", "--account", ""),
            ("--error-code", " "),
            ("--failed", "--limit", _BIG),
        ),
    ),
    "jobs cancel": Row(
        changes="jobs",
        works=("{pending}",),
        says="cancelled 1, skipped 0",
        facts=("dry_run", "cancelled", "skipped"),
        wrong=(
            (),
            ("--kind", "sales", "--account", ""),
            ("1a2b", "--kind", "sales"),
            ("--status", "pending", "--status", "running"),
        ),
    ),
    "errors": Row(
        changes=None,
        says="server_fault",
        facts=("id", "jobs", "message"),
        wrong=(("--since", "yesterday"), ("--kind", "salez"), ("--limit", _BIG)),
    ),
    "alerts check": Row(
        changes=None,
        says="NoWorker",  # which is what there is to say of a fleet without one
        facts=("name", "subject", "manual"),
        wrong=(("--since", "1h"),),
        needs=(POSTGRES, RABBITMQ),
        code=1,
        shown=(
            "test_cli_alerts.py::test_alerts_check_is_0_when_all_is_well_and_1_when_anything_fires",
        ),
    ),
    "rejected": Row(
        changes=None,
        works=("--account", "{merchant}"),
        says="Sale: saleGrossValue.bag",
        facts=("kind", "account", "key", "reason"),
        wrong=(("--kind", "salez"), ("--limit", "0"), ("--account", "")),
    ),
    "acts": Row(
        changes=None,
        says="apps add",
        facts=("at", "login", "actor", "act", "subject", "detail"),
        wrong=(("--since", "yesterday"), ("--limit", "0"), ("too", "many")),
    ),
    "report": Row(
        changes=None,
        works=("--day", "2026-09-21"),
        says="sales",
        facts=("day", "kinds"),
        wrong=(("--day", "yesterday"), ("--day", "0001-01-01")),
    ),
    "export": Row(
        changes=None,
        works=("sales", *_DAYS, "--output", "sales.csv"),
        facts=("kind", "rows", "file"),
        wrong=(
            ("sales",),
            ("sales", "--from", "2026-03-31", "--to", "2026-03-01"),
            ("sales", *_DAYS, "--format", "ods"),
            ("sales", *_DAYS, "--json"),
            ("sales", *_DAYS, "--output", "-"),
            ("sales", *_DAYS, "--locale", "pt-BR", "--output", "sales.xlsx"),
        ),
    ),
    "config": Row(
        changes=None, says="IFOOD_DATABASE_URL", facts=("name", "value", "origin"), needs=()
    ),
}

UNTIL_STOPPED = ("scheduler", "worker", "web", "simulator")


def commands() -> dict[str, Any]:
    """Give the commands that the program really has, by what a person types."""
    return dict(_walk(get_command(app)))


def options(command: Any) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts}


def _walk(command: Any, *path: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield " ".join(path), command
    for name, each in getattr(command, "commands", {}).items():
        yield from _walk(each, *path, name)
