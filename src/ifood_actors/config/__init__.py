"""
Settings from `IFOOD_` variables.

`Settings` does no I/O; `loading` is the only module of the project that reads the environment.
"""

from ifood_actors.config.settings import SettingOrigin, Settings, Unset

__all__ = ["SettingOrigin", "Settings", "Unset", "loading"]
