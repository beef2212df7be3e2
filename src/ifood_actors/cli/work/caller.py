"""Who calls a command, as far as the kernel knows, and what the caller says beyond that."""

import os
import pwd
import re
import socket
from pathlib import Path

from ifood_actors.config.loading import sudo_user
from ifood_actors.ledger import Role

_LOGIN = Path("/proc/self/loginuid")
_NO_LOGIN = 2**32 - 1  # of a container, a service, a timer
_LONGEST = 64  # characters of a name
_ODD = re.compile(r"[^\w.@+$\\-]")  # what no name of a user or a host has


def operator() -> str:
    """
    Name who acts, for the history: `cli maria@host`.

    Whom the kernel saw log in comes first: `sudo`, `su` and `setpriv` leave that alone. Without a
    login, SUDO_USER is only what the caller says, so the user of the process stands beside it:
    `cli maria@host as ifood-actors`.
    """
    user = _name(os.getuid())
    said = sudo_user() or user
    known = _logged_in()
    person = said if known is None else _name(known)
    suffix = "" if known is not None or said == user else f" as {user}"
    return f"{Role.CLI} {_plain(person)}@{_plain(socket.gethostname())}{suffix}"


def _logged_in() -> int | None:
    try:
        uid = int(_LOGIN.read_text())
    except (OSError, ValueError):  # a kernel without audit
        return None
    return None if uid == _NO_LOGIN else uid


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's user without an entry
        return str(uid)


def _plain(name: str) -> str:
    return _ODD.sub("?", name)[:_LONGEST]
