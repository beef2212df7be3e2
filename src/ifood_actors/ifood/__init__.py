"""
iFood's API: requests, tokens, the limiter. It knows HTTP and money, nothing of jobs.

connect (composes it) · http/ · limiter/ · tokens/ · tables · and without I/O: request_slots (the
arithmetic of the pace), thresholds (when iFood counts as away, and an authorization as refused)
"""

__all__ = [
    "connect",  # reads the encryption keys: imported by the processes that are given them
    "http",
    "limiter",
    "request_slots",
    "tables",
    "thresholds",
    "tokens",
]
