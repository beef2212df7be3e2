"""`scheduler` and `worker`: the processes that run until they are told to stop."""


def scheduler() -> None:
    """Plan runs when due and relay jobs; several may run."""
    from ifood_actors.cli.work import processes

    processes.scheduler()


def worker() -> None:
    """
    Run jobs, as many at a time as the settings say.

    Becomes the supervisor of `dramatiq ifood_actors.worker`, once the settings and both services
    are found usable.
    """
    from ifood_actors.cli.work import processes

    processes.worker()
