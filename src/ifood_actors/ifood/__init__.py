"""
iFood's API: requests, tokens, the limiter. It knows HTTP and money, nothing of jobs.

connect (wires it) · http/ · limiter/ · tokens/ · tables · and without I/O: slots (the arithmetic of
the pace), thresholds (when iFood counts as away, and an authorization as refused)
"""

__all__ = [
    "connect",  # reads the encryption keys: imported by the processes that are given them
    "http",
    "limiter",
    "slots",
    "tables",
    "thresholds",
    "tokens",
]
