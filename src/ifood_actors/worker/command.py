"""
Dramatiq's command, whose own lines get our shape: `python -m ifood_actors.worker.command`.

Its main process tells of workers that died; with `--skip-logging` that would be a bare text.
"""

import sys

from dramatiq import cli

from ifood_actors import logs

if __name__ == "__main__":
    logs.configure("warning")
    sys.exit(cli.main())  # type: ignore[no-untyped-call] # it has no types
