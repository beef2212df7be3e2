"""
How a job runs, from its message to its settled status.

messages (what the relay sends) · job_broker (composes a worker's broker of all others) · middleware
(what surrounds a delivery) · context (what its thread knows of it) · admission (its turn) · execute
(claim, read, store) · claims (several at once, by `together`) · leases (renewed while it makes
progress) · lifeline (ends with the process) · retries (decides what becomes of a failed job). None
is imported here, so that `retries` stays pure.
"""

__all__ = ["job_broker", "messages", "retries"]
