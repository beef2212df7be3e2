"""The records of the three feeds, and their former versions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ifood_anticipations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("covered_from", sa.Date(), nullable=False),
        sa.Column("covered_to", sa.Date(), nullable=False),
        sa.Column("raw", postgresql.JSONB(), nullable=False),
        sa.Column("calculation_start", sa.Date(), nullable=True),
        sa.Column("calculation_end", sa.Date(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("original_payment_date", sa.Date(), nullable=True),
        sa.Column("anticipated_payment_date", sa.Date(), nullable=True),
        sa.Column("original_payment_amount", sa.Numeric(precision=14, scale=2), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("fee_percentage", sa.Numeric(), nullable=True),
        sa.Column("fee_amount", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("anticipated_payment_amount", sa.Numeric(precision=14, scale=2), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ifood_anticipations")),
    )
    op.create_index(
        op.f("ix_ifood_anticipations_merchant_id_covered_from"),
        "ifood_anticipations",
        ["merchant_id", "covered_from"],
        unique=False,
    )
    op.create_index(
        "uq_ifood_anticipations_natural_key",
        "ifood_anticipations",
        [
            sa.literal_column("merchant_id"),
            sa.literal_column("COALESCE(calculation_start, '-infinity'::date)"),
            sa.literal_column("COALESCE(calculation_end, '-infinity'::date)"),
            sa.literal_column("type"),
            sa.literal_column("COALESCE(original_payment_date, '-infinity'::date)"),
            sa.literal_column("COALESCE(anticipated_payment_date, '-infinity'::date)"),
            sa.literal_column("original_payment_amount"),
            sa.literal_column("ordinal"),
        ],
        unique=True,
    )
    op.create_table(
        "ifood_record_versions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("record_table", sa.Text(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("raw", postgresql.JSONB(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ifood_record_versions")),
    )
    op.create_index(
        op.f("ix_ifood_record_versions_record_id"),
        "ifood_record_versions",
        ["record_id"],
        unique=False,
    )
    op.create_table(
        "ifood_sales",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("covered_from", sa.Date(), nullable=False),
        sa.Column("covered_to", sa.Date(), nullable=False),
        sa.Column("raw", postgresql.JSONB(), nullable=False),
        sa.Column("sale_id", sa.Text(), nullable=False),
        sa.Column("sale_day", sa.Date(), nullable=False),
        sa.Column("short_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("sales_channel", sa.Text(), nullable=True),
        sa.Column("current_status", sa.Text(), nullable=True),
        sa.Column("merchant_short_id", sa.Text(), nullable=True),
        sa.Column("merchant_name", sa.Text(), nullable=True),
        sa.Column("merchant_type", sa.Text(), nullable=True),
        sa.Column("merchant_timezone", sa.Text(), nullable=True),
        sa.Column("sale_gross_value_bag", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column(
            "sale_gross_value_delivery_fee", sa.Numeric(precision=14, scale=2), nullable=True
        ),
        sa.Column("sale_gross_value_service_fee", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("benefits_total_value", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("delivery_type", sa.Text(), nullable=True),
        sa.Column("delivery_information_provider_name", sa.Text(), nullable=True),
        sa.Column("delivery_delivery_parameters_logistic_provider", sa.Text(), nullable=True),
        sa.Column("delivery_delivery_parameters_delivery_product", sa.Text(), nullable=True),
        sa.Column("delivery_delivery_parameters_code", sa.Text(), nullable=True),
        sa.Column("delivery_delivery_parameters_scheduling_type", sa.Text(), nullable=True),
        sa.Column("delivery_prices_gross_value", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("delivery_prices_discount", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("delivery_prices_net_value", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("billing_summary_sale_balance", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ifood_sales")),
        sa.UniqueConstraint(
            "merchant_id", "sale_id", name=op.f("uq_ifood_sales_merchant_id_sale_id")
        ),
    )
    op.create_index(
        op.f("ix_ifood_sales_merchant_id_covered_from"),
        "ifood_sales",
        ["merchant_id", "covered_from"],
        unique=False,
    )
    op.create_table(
        "ifood_settlements",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("covered_from", sa.Date(), nullable=False),
        sa.Column("covered_to", sa.Date(), nullable=False),
        sa.Column("raw", postgresql.JSONB(), nullable=False),
        sa.Column("title_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("amount", sa.Numeric(precision=14, scale=2), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("transaction_id", sa.Text(), nullable=True),
        sa.Column("payment_date", sa.Date(), nullable=True),
        sa.Column("calculation_start", sa.Date(), nullable=True),
        sa.Column("calculation_end", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ifood_settlements")),
        sa.UniqueConstraint(
            "merchant_id", "title_id", name=op.f("uq_ifood_settlements_merchant_id_title_id")
        ),
    )
    op.create_index(
        op.f("ix_ifood_settlements_merchant_id_covered_from"),
        "ifood_settlements",
        ["merchant_id", "covered_from"],
        unique=False,
    )
