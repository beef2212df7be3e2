"""The entry point: which commands there are, and how each of their failures ends."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from ifood_actors.cli import (
    accounts,
    acts,
    alerts,
    apps,
    capacity,
    config,
    db,
    demo,
    doctor,
    errors,
    export,
    jobs,
    limits,
    plan,
    processes,
    rejected,
    report,
    secrets,
    simulator,
    status,
    web,
)
from ifood_actors.errors import IfoodActorsError, UsageError

app = typer.Typer(
    name="ifood-actors",
    help="Pulls the financial data of iFood restaurants, on a Postgres ledger and RabbitMQ.",
    epilog="Exit codes: 0 done, 1 the work failed, 2 wrong usage or configuration, "
    "3 a needed service cannot be reached, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks show locals, and so tokens
    rich_markup_mode=None,  # rich would take a third of the start-up
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("demo")(demo.demo)
app.add_typer(db.app, name="db")
app.command("doctor")(doctor.doctor)
app.add_typer(apps.app, name="apps")
app.add_typer(accounts.app, name="accounts")
app.add_typer(secrets.app, name="secrets")
app.command("plan")(plan.plan)
app.command("capacity")(capacity.capacity)
app.command("scheduler")(processes.scheduler)
app.command("worker")(processes.worker)
app.command("web")(web.web)
app.command("status")(status.status)
app.add_typer(jobs.app, name="jobs")
app.add_typer(limits.app, name="limits")
app.command("errors")(errors.errors)
app.add_typer(alerts.app, name="alerts")
app.command("rejected")(rejected.rejected)
app.command("acts")(acts.acts)
app.command("report")(report.report)
app.command("export")(export.export)
app.command("config")(config.config)
app.command("simulator")(simulator.simulator)

# What runs until it is told to stop: its lines are read by programs, unless on a terminal.
_PROCESSES = (["scheduler"], ["worker"], ["web"], ["simulator"])


def main() -> None:
    """Run the command of `sys.argv` and end the process with its exit code."""
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a letter must not end a command.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr] # a TextIOWrapper
    sys.exit(_run())


def _run() -> int:
    try:
        code = _call()
        sys.stdout.flush()
    except IfoodActorsError as error:
        return _say(str(error), code=error.exit_code)
    except TyperException as error:
        return _wrong_usage(error)
    except typer.Abort:
        return _say("given up, nothing was changed", code=1)
    except BrokenPipeError:  # the reader, such as `head`, has ended
        _discard_stdout()
        return 1
    except Exception as error:  # noqa: BLE001 - the last place where a person can be told
        if isinstance(error, OSError):
            _discard_stdout()
        return _unexpected(error)
    return code if isinstance(code, int) else 0


def _call() -> object:
    try:
        return app(standalone_mode=False)
    except UnicodeEncodeError as error:  # a file's name may be any bytes, nothing else may
        raise UsageError(f"an argument or a setting is no text: {error.reason}") from error
    except UnicodeDecodeError:  # of what was read, not of what was given
        raise
    except UnicodeError as error:  # the codec `idna`
        raise UsageError(f"no host can have the name that is given: {error}") from error


def _say(text: str, *, code: int, command: str = "ifood-actors") -> int:
    if sys.argv[1:2] in _PROCESSES and not sys.stderr.isatty():
        from ifood_actors import logs

        logs.configure("error")  # a process says it as everything else
        for line in text.splitlines():
            logs.get_logger("ifood_actors").error(logs.FAILED, reason=line, code=code)
        return code
    for line in text.splitlines():
        print(f"{command}: {line}", file=sys.stderr)  # noqa: T201 - where errors go
    return code


def _wrong_usage(error: TyperException) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "ifood-actors"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    if not message.strip() or message.lstrip().startswith("Usage:"):  # a group without a command
        print(message or (context and context.get_help()), file=sys.stderr)  # noqa: T201 - the same
        return 2
    one_line = " ".join(message.replace("Value error, ", "").split())
    return _say(f"{one_line} (see `{path} --help`)", code=2, command=path)


def _unexpected(error: Exception) -> int:
    if _debugging():
        import traceback

        traceback.print_exception(error)  # without locals
    from ifood_actors.logs import redact  # what it says is unknown
    from ifood_actors.plain_text import first_line

    reason = redact(first_line(error))
    return _say(
        f"unexpected {type(error).__name__}: {reason} (IFOOD_LOG_LEVEL=debug shows where)", code=1
    )


def _replace_closed_streams() -> None:
    """Have a stream for each descriptor: Python has none where one was closed, as by `>&-`."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - for as long as the process lives


def _discard_stdout() -> None:
    """Write what is left nowhere: Python flushes at its end, and would complain once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _debugging() -> bool:
    from ifood_actors.config import loading

    try:
        return loading.load().log_level == "debug"
    except IfoodActorsError:
        return False


def _version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"ifood-actors {version('ifood-actors')}")  # noqa: T201 - data
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=lambda v: _version(wanted=v))
    ] = False,
) -> None:
    """Stand for the program itself; typer reads its options from here."""
