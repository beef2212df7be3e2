"""
How a delivery claims its job: in one transaction with those of other threads, or else alone.

Alone goes what the batch left out, since another transaction has the job or there is nothing to
claim; and each part of a batch that failed, so that the bad row of one job stops no other.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, IntegrityError

from ifood_actors.db import repeated, transaction
from ifood_actors.delivery.leases import Leases
from ifood_actors.delivery.messages import JobMessage
from ifood_actors.delivery.together import Together, Undecided
from ifood_actors.ledger import Act, AskedClaim, ClaimedJob, Ledger, claim_each, park


class Claims:
    """Claims jobs for the threads of a process; alone each, except between `start` and `close`."""

    def __init__(self, engine: Engine, leases: Leases) -> None:
        self._engine = engine
        self._leases = leases
        self._together = Together(self._claim_each, name="claims")

    def start(self) -> None:
        self._together.start()

    def close(self) -> None:
        self._together.close()

    def claim(self, message: JobMessage, token: UUID) -> ClaimedJob | None:
        """
        Claim a message's job for the length of a lease; `token` is new for each claim.

        None where `Ledger.claim` gives none, and for a job that is parked, since its history or a
        value in it refuses the claim.
        """
        sent = False
        try:
            job = self._together.ask(AskedClaim(message.job_id, message.dispatch_no, token))
        except Undecided:
            job, sent = None, True
        return job or self._claim_alone(message, token, sent=sent)

    def _claim_each(self, asked: Sequence[AskedClaim]) -> Mapping[AskedClaim, ClaimedJob]:
        with transaction(self._engine) as tx:
            return claim_each(tx, asked, actor=self._leases.actor, lease=self._leases.length)

    def _claim_alone(self, message: JobMessage, token: UUID, *, sent: bool) -> ClaimedJob | None:
        """Claim, or find the claim that was `sent` before and not answered."""

        def claim(tx: Connection) -> ClaimedJob | None:
            nonlocal sent
            ledger = Ledger(tx, actor=self._leases.actor)
            if sent:  # it may be committed, and only its answer lost
                held = ledger.held(message.job_id, token)
                if held is not None and ledger.renew([held], lease=self._leases.length):
                    return held
            sent = True
            return ledger.claim(
                message.job_id, message.dispatch_no, token=token, lease=self._leases.length
            )

        try:
            return repeated(self._engine, claim)
        except (DataError, IntegrityError) as error:
            with transaction(self._engine) as tx:
                park(tx, Act.CLAIM, message.job_id, error)
            return None
