"""The error that ends the command."""


class UsageError(Exception):
    """Wrong usage: nothing was started. Its text is one line: what, and what to do."""
