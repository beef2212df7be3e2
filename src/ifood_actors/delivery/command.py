"""
Dramatiq's command, whose own lines get our shape: `python -m ifood_actors.delivery.command`.

Its main process tells of workers that died; with `--skip-logging` that would be a bare text. It is
not in `ifood_actors.worker`: the command's children must be the first to import that package, which
composes a worker when it is imported by the command.
"""

import sys

from dramatiq import cli

from ifood_actors import logs

if __name__ == "__main__":
    logs.configure("warning")
    sys.exit(cli.main())  # type: ignore[no-untyped-call] # it has no types
