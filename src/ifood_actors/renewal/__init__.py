"""
Which tokens are refreshed before they are needed.

`policy` decides and does no I/O; `token_states` reads what it decides by.
"""

__all__ = ["policy", "token_states"]
