"""
The command `ifood-simulator`: a fake iFood, and every way in which it can misbehave.

`ifood-actors simulator` is the same. The packages that serve are imported once it is called, so
that `ifood-actors --help` does without.
"""

import re
import sys
from datetime import date, timedelta
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import urlsplit

import typer

from ifood_simulator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ifood_simulator import FaultRates, Settings

T = TypeVar("T")
_FIRST_YEAR = 1900  # a week before a day must be a day, too
_DURATION = re.compile(r"(?:([0-9]{1,4})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,7})s)?")
Words = TypeVar("Words", str, list[str])


class RetryAfter(StrEnum):
    """Whether a 429 says how long to wait, and in which form."""

    NONE = "none"
    SECONDS = "seconds"
    DATE = "date"


def _day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.year < _FIRST_YEAR:
        raise typer.BadParameter(f"expected a day such as 2026-03-31, not {text!r}")
    return found


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text.strip().lower())
    days, hours, minutes, seconds = (
        (int(part or 0) for part in match.groups("0")) if match else [0] * 4
    )
    found = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not found:
        raise typer.BadParameter(f"expected a duration such as 45s, 10m, 4h or 2d, not {text!r}")
    return found


def simulator(
    *,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Speak https, with this one (PEM).")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its key, unless in the same file.")
    ] = None,
    accounts: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="How many restaurants.")
    ] = 100,
    seed: Annotated[int, typer.Option(help="The same seed gives the same data.")] = 1,
    today: Annotated[
        date | None,
        typer.Option(parser=_day, metavar="YYYY-MM-DD", help="Its day; else the calendar's."),
    ] = None,
    quirk: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[,FIELD=VALUE]...",
            help="Misbehave, as in status,status=503,resource=sales,times=2. Repeatable.",
        ),
    ] = None,
    rough: Annotated[
        bool, typer.Option("--rough", help="A bad day: 6 % of requests fail.")
    ] = False,
    faults: Annotated[
        str | None,
        typer.Option(metavar="NAME=RATE[,NAME=RATE]...", help="As in server_error=0.02,cut=0.01."),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP=N", help="Requests a minute, or none. Repeatable."),
    ] = None,
    retry_after: Annotated[
        RetryAfter, typer.Option(help="What a 429 says beside its reset.")
    ] = RetryAfter.NONE,
    latency: Annotated[
        float, typer.Option(min=0, max=60, metavar="SECONDS", help="Mean wait before an answer.")
    ] = 0.0,
    distributed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Share the stores among N owners who authorize.")
    ] = 0,
    token_life: Annotated[
        timedelta | None,
        typer.Option(
            parser=_duration,
            metavar="DURATION",
            show_default="3h",
            help="How long an access token lives.",
        ),
    ] = None,
    refresh_life: Annotated[
        timedelta | None,
        typer.Option(
            parser=_duration,
            metavar="DURATION",
            show_default="168h",
            help="How long a refresh token lives.",
        ),
    ] = None,
    spread: Annotated[
        timedelta | None,
        typer.Option(
            parser=_duration,
            metavar="DURATION",
            show_default="0",
            help="403 after a store was linked.",
        ),
    ] = None,
    revoked: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Stores that always answer 403.")
    ] = 0.0,
) -> None:
    """Serve a fake iFood API on this machine."""
    import ifood_simulator as fake

    active = [_read("--quirk", fake.fault_of, text) for text in quirk or ()]
    limits = _read("--limit", fake.limits_of, limit or [])
    if key and not certificate:
        raise UsageError(f"--key {key}: without --certificate there is nothing that it opens")
    _require_loopback(host, certificate)
    if distributed > accounts:
        raise UsageError(f"--distributed {distributed}: there are only {accounts} restaurants")
    usual = fake.Settings()
    settings = fake.Settings(
        merchants=accounts,
        seed=seed,
        apps=(fake.App(kind="distributed", owners=distributed) if distributed else fake.App(),),
        today=today,
        financial_per_minute=limits["financial"],
        merchant_per_minute=limits["merchant"],
        oauth_per_minute=limits["oauth"],
        faults=_fault_rates(faults, rough=rough),
        retry_after=retry_after.value,
        latency_seconds=latency,
        token_seconds=_seconds(token_life, usual.token_seconds),
        refresh_token_seconds=_seconds(refresh_life, usual.refresh_token_seconds),
        spread_seconds=_seconds(spread, usual.spread_seconds),
        revoked_share=revoked,
    )
    fake.serve(
        settings,
        host,
        port,
        certificate=certificate,
        key=key,
        faults=active,
        ready=lambda url: _introduce(url, settings, certificate),
    )


def _require_loopback(host: str, certificate: Path | None) -> None:
    """Refuse to serve invented secrets in clear to others; clients refuse such an address, too."""
    if certificate is None and not _is_loopback(host):
        raise UsageError(
            f"--host {host}: without --certificate it listens on loopback only, as 127.0.0.1"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _fault_rates(text: str | None, *, rough: bool) -> "FaultRates":
    import ifood_simulator as fake

    if rough and text is not None:
        raise UsageError("--rough and --faults exclude each other")
    if text is not None:
        return _read("--faults", fake.fault_rates_of, text)
    return fake.ROUGH if rough else fake.FaultRates()


def _seconds(given: timedelta | None, usual: float) -> float:
    return usual if given is None else given.total_seconds()


def _read(option: str, parse: "Callable[[Words], T]", words: Words) -> T:
    try:
        return parse(words)
    except ValueError as error:
        given = words if isinstance(words, str) else " ".join(words)
        raise UsageError(f"{option} {given}: {error}") from None


def _introduce(url: str, settings: "Settings", certificate: Path | None) -> None:
    """Say where it is, and how to pull from it."""
    app = settings.apps[0]
    url = _from_elsewhere(url)
    authority = certificate and certificate.resolve()
    trusted = f" IFOOD_API_CA_FILE={authority}" if authority else ""
    trusting = f" --cacert {authority}" if authority else ""
    typer.echo(url)
    _note(f"simulated iFood with {settings.merchants:,} restaurants; to pull from it:")
    _note(
        f"  export IFOOD_API_BASE_URL={url} IFOOD_API_ALLOW_HOST={urlsplit(url).hostname}{trusted}"
    )
    _note(
        f"  echo {app.client_secret} | ifood-actors apps add {app.name} "
        f"--client-id {app.client_id} --kind {app.kind}"
    )
    _note(f"  curl -s{trusting} {url}/_simulator/accounts.csv | ifood-actors accounts import -")
    if app.kind == "distributed":
        _note(f"  ifood-actors apps authorize {app.name}   # once for each of {app.owners} owners")
    _note("Ctrl-C ends it")


def _note(text: str) -> None:
    typer.echo(text, err=True)


def _from_elsewhere(url: str) -> str:
    """Name this host where the address is that of all its interfaces, which leads nowhere."""
    parts = urlsplit(url)
    if not ip_address(parts.hostname or "").is_unspecified:
        return url
    return parts._replace(netloc=f"{gethostname()}:{parts.port}").geturl()


app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(simulator)


def main() -> None:
    """Run the command of `sys.argv` and end the process: with 0, or with 2 for wrong usage."""
    try:
        app(prog_name="ifood-simulator")
    except UsageError as error:
        _note(f"ifood-simulator: {error}")
        sys.exit(2)
