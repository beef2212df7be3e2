"""Pulls iFood restaurants' financial data: Dramatiq actors, RabbitMQ, a Postgres ledger."""
