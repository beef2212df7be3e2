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

    The start has been told once `notified_at` is not before `firing_since`, the end once it is not
    before `resolved_at`.
    """

    __tablename__ = "ifood_alerts"

    name: str = Field(sa_column=Column(Text, primary_key=True))
    subject: str = Field(sa_column=Column(Text, primary_key=True))
    firing_since: datetime = Field(sa_column=instant(nullable=False))
    last_seen: datetime = Field(sa_column=instant(nullable=False))
    notified_at: datetime | None = Field(default=None, sa_column=instant())
    resolved_at: datetime | None = Field(default=None, sa_column=instant())
    details: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    # Until then one scheduler delivers a notification, and no other does.
    locked_until: datetime | None = Field(default=None, sa_column=instant())
    # Fingerprints of the addresses that did not take the latest notification, although others did.
    owed_to: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False, server_default="{}"))


class SchedulerHost(SQLModel, table=True):
    """When a scheduler of this host was last alive; `stopped_at` says that it was told to end."""

    __tablename__ = "ifood_schedulers"

    host: str = Field(sa_column=Column(Text, primary_key=True))
    seen_at: datetime = Field(sa_column=instant(nullable=False))
    stopped_at: datetime | None = Field(default=None, sa_column=instant())
