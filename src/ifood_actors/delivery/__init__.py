"""
How a job runs, from its message to its settled status.

`messages` is what the relay sends, `assembly` what a worker starts with, `retries` decides what
becomes of a failed job. None is imported here, so that `retries` stays pure.
"""

__all__ = ["assembly", "messages", "retries"]
