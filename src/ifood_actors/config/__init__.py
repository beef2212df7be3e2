"""
Settings from `IFOOD_` variables.

`Settings` does no I/O; `loading` is the only module of the project that reads the environment.
"""

from ifood_actors.config.settings import DEFAULT_API, PREFIX, Settings, Unset

__all__ = ["DEFAULT_API", "PREFIX", "Settings", "Unset", "loading"]
