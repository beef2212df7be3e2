"""
What the ledger holds, as people and processes ask for it. Only reads.

`conditions` are SQL that more than one reader needs.
"""

__all__ = ["conditions", "cost", "daily", "error_groups", "jobs", "runs"]
