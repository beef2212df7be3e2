"""A PgBouncer of one's own before a Postgres of the tests; it knows no other users than theirs."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from signal import SIGINT

from sqlalchemy import make_url

from ifood_actors.embedded.processes import (
    PrivateFolder,
    answers,
    free_port,
    last_lines,
    wait_until,
)
from support.eventually import PATIENCE_SECONDS
from support.logins import PASSWORD, ROLES

WITHIN = timedelta(seconds=PATIENCE_SECONDS)


def find_program() -> Path | None:
    """Return Debian's PgBouncer, which is not on everybody's PATH."""
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    return Path(found) if found else None


@contextmanager
def pgbouncer(program: Path, database_url: str, **settings: object) -> Iterator[str]:
    """Start it, with its own defaults but for `settings`; give the URL that leads through it."""
    url = make_url(database_url)
    port = free_port()
    given = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "plain",
        "auth_file": "users",
        **settings,
    }
    lines = [f"{name} = {value}" for name, value in given.items()]
    server = f"* = host={url.host} port={url.port}"
    # PgBouncer refuses root.
    with PrivateFolder("ifood-pgbouncer", account=None if os.geteuid() else "nobody") as folder:
        known = [(url.username, url.password), *((f"ifood_{role}", PASSWORD) for role in ROLES)]
        folder.write("users", "".join(f'"{user}" "{password}"\n' for user, password in known))
        text = "\n".join(["[databases]", server, "[pgbouncer]", *lines, ""])
        config = folder.write("pgbouncer.ini", text)
        process = folder.start([program, config], env={"PATH": os.defpath}, log="log")
        try:
            assert wait_until(lambda: answers(port), within=WITHIN), last_lines(folder.path / "log")
            yield url.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        finally:
            folder.end(process, SIGINT, within=timedelta(seconds=5))
