"""The table of the restaurant accounts."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Boolean, Column, ForeignKey, Integer, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from ifood_actors.db import instant, random_id


class Account(SQLModel, table=True):
    """One restaurant: its merchant at iFood, its zone, and the application that may read it."""

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("ifood_merchant_id"),)

    id: UUID = Field(default_factory=uuid4, sa_column=random_id())
    name: str = Field(sa_column=Column(Text, nullable=False))
    ifood_merchant_id: str = Field(sa_column=Column(Text, nullable=False))
    priority: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    active: bool = Field(
        default=True, sa_column=Column(Boolean, nullable=False, server_default="true")
    )
    timezone: str = Field(
        default="America/Sao_Paulo",
        sa_column=Column(Text, nullable=False, server_default="America/Sao_Paulo"),
    )
    app_id: UUID | None = Field(default=None, sa_column=Column(ForeignKey("ifood_apps.id")))
    cnpj: str | None = Field(default=None, sa_column=Column(Text))
    group_name: str | None = Field(default=None, sa_column=Column(Text))
    # Whose tokens read it, if its application is distributed.
    authorization_id: UUID | None = Field(
        default=None,
        sa_column=Column(ForeignKey("ifood_authorizations.id", ondelete="SET NULL"), index=True),
    )
    created_at: datetime | None = Field(default=None, sa_column=instant(nullable=False, now=True))
    updated_at: datetime | None = Field(default=None, sa_column=instant(nullable=False, now=True))
