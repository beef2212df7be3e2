"""The tables of `alerts/`: what fires and who was told, and the schedulers' signs of life."""

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Column, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from ifood_actors.db import instant


class Alert(SQLModel, table=True):
    """
    One rule and what it fires about; the row of the last time stays, and is used again.

    People know of the start if `notified_at` is not before `firing_since`, and of the end if it is
    not before `resolved_at`.
    """

    __tablename__ = "ifood_alerts"

    # The rule's name, and what it fires about, such as a kind; `all` if it is about everything.
    name: str = Field(sa_column=Column(Text, primary_key=True))
    subject: str = Field(sa_column=Column(Text, primary_key=True))
    # The first and the latest evaluation in which it fires, since its latest start.
    firing_since: datetime = Field(sa_column=instant(nullable=False))
    last_seen: datetime = Field(sa_column=instant(nullable=False))
    # When an address last accepted a notification.
    notified_at: datetime | None = Field(default=None, sa_column=instant())
    # When it ended; NULL while it fires.
    resolved_at: datetime | None = Field(default=None, sa_column=instant())
    # `text`, `number` and `limit`, as people read them.
    details: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    # Until then a scheduler delivers its notification, and no other does.
    locked_until: datetime | None = Field(default=None, sa_column=instant())
    # Fingerprints of the addresses that did not take the latest notification, although others did.
    owed_to: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False, server_default="{}"))


class SchedulerHost(SQLModel, table=True):
    """When a scheduler of a host was last alive; `stopped_at` is set when one is told to end."""

    __tablename__ = "ifood_schedulers"

    # The host's name; its schedulers share the row.
    host: str = Field(sa_column=Column(Text, primary_key=True))
    # The latest heartbeat of one of them.
    seen_at: datetime = Field(sa_column=instant(nullable=False))
    stopped_at: datetime | None = Field(default=None, sa_column=instant())
