"""The tables of `ifood/`: applications, their authorizations, the state of the limiter."""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    Interval,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlmodel import Field, SQLModel

from ifood_actors.db import instant, random_id


class AppKind(StrEnum):
    """
    How iFood lets an application see stores (iFood authentication guide).

    Centralised: one token for all linked stores. Distributed: one token for each authorisation.
    """

    CENTRALIZED = "centralized"
    DISTRIBUTED = "distributed"


class App(SQLModel, table=True):
    """An application registered at iFood. Its secret is stored encrypted, never in clear."""

    __tablename__ = "ifood_apps"
    __table_args__ = (
        UniqueConstraint("name"),
        CheckConstraint(f"kind IN ({', '.join(repr(str(kind)) for kind in AppKind)})", name="kind"),
    )

    id: UUID = Field(default_factory=uuid4, sa_column=random_id())
    # By which operators and accounts refer to it.
    name: str = Field(sa_column=Column(Text, nullable=False))
    # Given by iFood, as is the secret.
    client_id: str = Field(sa_column=Column(Text, nullable=False))
    # An `AppKind`.
    kind: str = Field(sa_column=Column(Text, nullable=False))
    client_secret_encrypted: str = Field(repr=False, sa_column=Column(Text, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=instant(nullable=False, now=True))
    updated_at: datetime | None = Field(default=None, sa_column=instant(nullable=False, now=True))


class Authorization(SQLModel, table=True):
    """
    What an owner has allowed an application, with its tokens, which all processes share.

    A centralised application has one, made when it is first used; a distributed one has one for
    each userCode flow, which may cover several stores.
    """

    __tablename__ = "ifood_authorizations"
    __table_args__ = (UniqueConstraint("app_id", "name"),)

    id: UUID = Field(default_factory=uuid4, sa_column=random_id())
    app_id: UUID = Field(
        sa_column=Column(ForeignKey("ifood_apps.id", ondelete="CASCADE"), nullable=False)
    )
    # `*` for that of a centralised application, else a label that operators gave.
    name: str = Field(sa_column=Column(Text, nullable=False))
    access_token_encrypted: str | None = Field(default=None, repr=False, sa_column=Column(Text))
    # The end of the access token, when it is refreshed before that, and when it was given.
    expires_at: datetime | None = Field(default=None, sa_column=instant())
    renew_at: datetime | None = Field(default=None, sa_column=instant())
    renewed_at: datetime | None = Field(default=None, sa_column=instant())
    # Works once: each renewal brings the next one, and both tokens are saved in one statement.
    refresh_token_encrypted: str | None = Field(default=None, repr=False, sa_column=Column(Text))
    # The end of the refresh token: no answer tells it, the guide does.
    refresh_expires_at: datetime | None = Field(default=None, sa_column=instant())
    # Until then no other process asks iFood: a refresh is running, or one has just failed.
    locked_until: datetime | None = Field(default=None, sa_column=instant())
    # The latest refusal, and what iFood said.
    refused_at: datetime | None = Field(default=None, sa_column=instant())
    # The first of the refusals that count; one that comes minutes later decides.
    refused_since: datetime | None = Field(default=None, sa_column=instant())
    refused_reason: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    # iFood refused the refresh token twice: only the owner can help, no process asks until then.
    needs_authorization_since: datetime | None = Field(default=None, sa_column=instant())
    # When a process could not decrypt one of its secrets, and on which host.
    unreadable_at: datetime | None = Field(default=None, sa_column=instant())
    unreadable_by: str | None = Field(default=None, sa_column=Column(Text, nullable=True))


class Limit(SQLModel, table=True):
    """When the next request of one application to one endpoint group may be sent."""

    __tablename__ = "ifood_limits"

    app_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    endpoint_group: str = Field(sa_column=Column(Text, primary_key=True))
    # When the next slot is free.
    next_free_at: datetime = Field(sa_column=instant(nullable=False))
    # The cooldown: its start, its end, and what iFood said.
    closed_at: datetime | None = Field(default=None, sa_column=instant())
    closed_until: datetime | None = Field(default=None, sa_column=instant())
    closed_reason: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    # Deliveries in a row that ended in a fault of iFood's; ten of them open the breaker.
    failures: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    # What a gateway said when it refused the last of them; None when that was another fault.
    blocked_by: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    # What a process needed most lately of the time by which requests may be late, and when.
    slack: timedelta | None = Field(default=None, sa_column=Column(Interval, nullable=True))
    slack_at: datetime | None = Field(default=None, sa_column=instant())
    # Of the former release, which still reads and writes them; the next one drops them.
    learned_per_minute: int | None = Field(default=None, sa_column=Column(Integer, nullable=True))
    learned_at: datetime | None = Field(default=None, sa_column=instant())


class NamedLimitRow(SQLModel, table=True):
    """The requests a minute that iFood's answers named last, for one endpoint of an application."""

    __tablename__ = "ifood_named_limits"

    app_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    endpoint: str = Field(sa_column=Column(Text, primary_key=True))
    endpoint_group: str = Field(sa_column=Column(Text, nullable=False))
    per_minute: int = Field(sa_column=Column(Integer, nullable=False))
    # Since when it is this one, and when an answer named it last.
    since: datetime = Field(sa_column=instant(nullable=False))
    heard_at: datetime = Field(sa_column=instant(nullable=False))
