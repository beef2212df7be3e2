"""Postgres, RabbitMQ and a broker in memory, started privately: for the demo and the tests."""
