"""An owner lets a distributed application read stores: the code, the token, the accounts."""

import sys
from collections.abc import Sequence
from uuid import UUID

from ifood_actors import operator_acts
from ifood_actors.accounts.linking import Linked, unlink_others
from ifood_actors.cli.output import confirm, count, document, duration, note, say
from ifood_actors.cli.work.apps import require_plain
from ifood_actors.cli.work.caller import operator
from ifood_actors.cli.work.database import CommandContext, opened
from ifood_actors.cli.work.ifood import ifood, link_accounts
from ifood_actors.errors import JobError, UsageError
from ifood_actors.ifood.connect import Ifood
from ifood_actors.ifood.http import ApiIdentity, MerchantSummary
from ifood_actors.plain_text import printable

_FEW = 3


def authorize(name: str, *, label: str | None, yes: bool, json: bool) -> None:
    """Walk an owner through the authorization of one or several stores."""
    if label is not None:
        require_plain(label, what="--label", but="*")
    with opened() as command, ifood(command) as asked:
        replaces = label and _to_replace(asked, name, label, yes=yes)
        started = asked.authorizer.start(name)
        note(f"the owner opens {printable(started.url)}")
        note(f"and confirms the code {started.code}, within {duration(started.lifetime)}")
        stored = asked.authorizer.finish(
            name,
            _owners_code(),
            user_code=started,
            label=label,
            replaces=replaces or None,
            actor=operator(),
        )
        if not json:  # at once: it is stored, even if what follows fails
            say(f"application {name}: authorization {printable(stored.name)} stored")
        stores = _stores(asked, stored.identity)
        linked, unlinked = _link(command, name, stored.identity, stores)
    unknown = [store for store in stores if store.id in linked.unknown]
    if json:
        lacking = [{"merchant_id": store.id, "name": store.name} for store in unknown]
        document(
            {
                "application": name,
                "authorization": stored.name,
                "accounts": linked.accounts,
                "unlinked": unlinked,
                "without_account": lacking,
            }
        )
    elif stores:
        _tell(linked.accounts, unknown, unlinked)
    if unknown:
        note(f"add them with `ifood-actors accounts discover --app {name}`")


def _to_replace(asked: Ifood, name: str, label: str, *, yes: bool) -> UUID | None:
    """Ask before the only refresh token of an owner goes; no terminal means no."""
    living = asked.authorizer.living(name, label)
    if living is None:
        return None
    shown = ", ".join(map(printable, living.accounts[:_FEW]))
    reads = count(len(living.accounts), "account") + (shown and f", such as {shown}")
    what = f"application {name}: authorization {label} works, and reads {reads}"
    if not yes and not sys.stdin.isatty():
        raise UsageError(f"{what}; give another --label, or --yes to replace it")
    confirm(f"{what}; replace it?", yes=yes)
    return living.id


def _owners_code() -> str:
    if sys.stdin.isatty():
        print("authorization code: ", end="", file=sys.stderr, flush=True)  # noqa: T201 - a question
    code = sys.stdin.readline().strip()
    if not code:
        raise UsageError("no authorization code was given; nothing was stored")
    return code


def _stores(asked: Ifood, identity: ApiIdentity) -> list[MerchantSummary]:
    """List what the new token opens; the authorization is stored, even if this fails."""
    try:
        return list(asked.client.merchants(identity))
    except JobError as error:
        note(
            "its stores could not be listed, and accounts stay linked as they were, see "
            f"`ifood-actors accounts discover`: {error}"
        )
        return []


def _link(
    command: CommandContext, app: str, identity: ApiIdentity, stores: Sequence[MerchantSummary]
) -> tuple[Linked, list[str]]:
    """Link the accounts of its stores, and no others; what cannot be listed changes nothing."""
    with command.act("apps authorize") as (tx, note_act):
        merchant_ids = [store.id for store in stores]
        linked = link_accounts(tx, merchant_ids, identity) or Linked([], [])
        unlinked = []
        if stores and identity.authorization_id is not None:
            id_ = identity.authorization_id
            unlinked = unlink_others(tx, merchant_ids, authorization_id=id_)
        if linked.changed or unlinked:
            told = {"linked": linked.changed, "names": operator_acts.few(linked.accounts)}
            told |= {"unlinked": operator_acts.few(unlinked)} if unlinked else {}
            note_act(subject=app, **told)
    return linked, unlinked


def _tell(
    accounts: Sequence[str], unknown: Sequence[MerchantSummary], unlinked: Sequence[str]
) -> None:
    names = ", ".join(map(printable, accounts))
    say(f"{count(len(accounts), 'account')} linked{names and ': '}{names}")
    for store in unknown:
        say(f"no account yet: {printable(store.id)}  {printable(store.name)}")
    if unlinked:
        names = ", ".join(map(printable, unlinked))
        say(f"{count(len(unlinked), 'account')} linked no more: {names}")
        note("they need an authorization of their own owner; see `ifood-actors doctor`")
