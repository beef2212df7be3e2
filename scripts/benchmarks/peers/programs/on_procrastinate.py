"""
procrastinate, with asynchronous jobs.

Jobs of a dead worker come back by a periodic task, as its manual proposes. That is due every ten
seconds, as often as a worker gives a sign of life, and goes before the jobs that wait.
"""

import assignment
from procrastinate import App, JobContext, PsycopgConnector

app = App(connector=PsycopgConnector(conninfo=assignment.DATABASE_URL))


@app.task(name="wait")
async def wait(number: int) -> None:
    await assignment.wait_async(number)


@app.periodic(cron="* * * * * */10", priority=1)
@app.task(queueing_lock="retry_stalled", pass_context=True)
async def retry_stalled(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - it is given
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs():
        await manager.retry_job(job)


def prepare() -> None:
    with app.open():
        app.schema_manager.apply_schema()


def enqueue(jobs: int) -> None:
    with app.open():
        wait.batch_defer(*({"number": number} for number in range(1, jobs + 1)))


def work(at_a_time: int) -> None:
    app.run_worker(concurrency=at_a_time)


if __name__ == "__main__":
    assignment.carry_out(prepare=prepare, enqueue=enqueue, work=work)
