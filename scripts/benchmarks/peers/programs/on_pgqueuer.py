"""pgqueuer, on the event loop that its own command takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import assignment
import asyncpg
import pgqueuer
import uvloop

_NAME = "wait"


@asynccontextmanager
async def _queuer() -> AsyncIterator[pgqueuer.PgQueuer]:
    connection = await asyncpg.connect(assignment.DATABASE_URL)
    queuer = pgqueuer.PgQueuer(pgqueuer.AsyncpgDriver(connection))

    @queuer.entrypoint(_NAME)
    async def wait(job: pgqueuer.Job) -> None:
        await assignment.wait_async(int(job.payload or b""))

    yield queuer


async def _prepare() -> None:
    async with _queries() as queries:
        await queries.install()


async def _enqueue(jobs: int) -> None:
    numbers = [str(number).encode() for number in range(1, jobs + 1)]
    async with _queries() as queries:
        await queries.enqueue([_NAME] * jobs, numbers, [0] * jobs)


@asynccontextmanager
async def _queries() -> AsyncIterator[pgqueuer.Queries]:
    connection = await asyncpg.connect(assignment.DATABASE_URL)
    yield pgqueuer.Queries(pgqueuer.AsyncpgDriver(connection))
    await connection.close()


def prepare() -> None:
    asyncio.run(_prepare())


def enqueue(jobs: int) -> None:
    asyncio.run(_enqueue(jobs))


def work(at_a_time: int) -> None:
    # The largest batch that it allows; without a limit, its own size.
    batch = {"batch_size": at_a_time // 2} if at_a_time else {}
    uvloop.run(pgqueuer.run(_queuer, max_concurrent_tasks=at_a_time, **batch))


if __name__ == "__main__":
    assignment.carry_out(prepare=prepare, enqueue=enqueue, work=work)
