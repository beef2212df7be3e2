"""Stock Dramatiq, confirms on, with a status row in Postgres that the actor itself keeps."""

import os
import sys
import threading

import assignment
import dramatiq
import psycopg
from dramatiq.brokers.rabbitmq import RabbitmqBroker

_TABLE = """
    CREATE TABLE statuses (
        number int PRIMARY KEY,
        status text NOT NULL DEFAULT 'queued',
        attempts int NOT NULL DEFAULT 0,
        started_at timestamptz,
        finished_at timestamptz
    )
"""
_ROWS = "INSERT INTO statuses (number) SELECT generate_series(1, %s)"
_START = """
    UPDATE statuses SET status = 'running', attempts = attempts + 1, started_at = now()
    WHERE number = %s AND status <> 'done'
"""
_FINISH = "UPDATE statuses SET status = 'done', finished_at = now() WHERE number = %s"

broker = RabbitmqBroker(url=assignment.BROKER_URL, confirm_delivery=True)
dramatiq.set_broker(broker)
_of_thread = threading.local()


@dramatiq.actor(broker=broker, queue_name="wait")
def wait(number: int) -> None:
    connection = _connection()
    if connection.execute(_START, [number]).rowcount:
        assignment.wait(number)
        connection.execute(_FINISH, [number])


def _connection() -> psycopg.Connection:
    """Give a thread's own connection; each statement is a transaction."""
    if not hasattr(_of_thread, "connection"):
        _of_thread.connection = psycopg.connect(assignment.DATABASE_URL, autocommit=True)
    connection: psycopg.Connection = _of_thread.connection
    return connection


def prepare() -> None:
    _connection().execute(_TABLE)


def enqueue(jobs: int) -> None:
    _connection().execute(_ROWS, [jobs])
    for number in range(1, jobs + 1):
        wait.send(number)


def work(at_a_time: int) -> None:
    options = ["--processes", "1", "--threads", str(at_a_time)]
    command = [sys.executable, "-m", "dramatiq", "on_dramatiq", *options]
    os.execv(sys.executable, command)  # noqa: S606 - Dramatiq's own command


if __name__ == "__main__":
    assignment.carry_out(prepare=prepare, enqueue=enqueue, work=work)
