"""
Whether the runs of a week fit their windows.

`estimate` judges one run among others and does no I/O; `forecast` takes a week from the settings.
"""

__all__ = ["estimate", "forecast"]
