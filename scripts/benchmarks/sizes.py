"""How much is measured: enough for a figure that repeats, or as little as shows that it works."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Sizes:
    """Numbers of jobs, of sales, of seconds, and of starts of the program."""

    planned: int
    relayed: int
    jobs: int
    stock: int
    killed: int
    peers: int
    kills_at_once: int
    waiting: int
    probes: int
    limiter_seconds: int
    queueing_seconds: int
    memory: int
    exported: int
    stored: int
    stored_merchants: int
    stored_each: int
    starts: int


FULL = Sizes(
    planned=100_000,
    relayed=20_000,
    jobs=12_000,
    stock=20_000,
    killed=2_000,
    peers=5_000,
    kills_at_once=1,
    waiting=100_000,
    probes=500,
    limiter_seconds=62,  # a whole window of iFood's, so that "in any 60 s" means something
    queueing_seconds=120,
    memory=100_000,
    exported=200_000,
    stored=3_500,
    stored_merchants=200,
    stored_each=700,
    starts=21,
)
# For `all`: what memory does is visible after fewer jobs, and a hundred thousand take minutes.
ALL = replace(FULL, memory=30_000)
QUICK = Sizes(
    planned=10_000,
    relayed=2_000,
    jobs=1_200,
    stock=3_000,
    killed=600,
    peers=1_000,
    kills_at_once=5,  # they mostly wait
    waiting=2_000,
    probes=80,
    limiter_seconds=6,
    queueing_seconds=30,
    memory=2_000,
    exported=20_000,
    stored=700,
    stored_merchants=20,
    stored_each=150,
    starts=5,
)
