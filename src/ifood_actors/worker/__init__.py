"""
The worker process. `dramatiq ifood_actors.worker` imports this package, which then composes.

`composition` composes a worker from the settings, in threads for the demo and for tests;
`exposition` serves what the processes of a host count. Neither is imported here: a supervisor
needs neither.
"""

import sys

__all__ = ["composition", "exposition"]

# The command offers no hook for a bare module name but its import. Everybody else who imports
# this package (tests, the demo) wants its parts, not a worker.
if "dramatiq.cli" in sys.modules:
    from ifood_actors.worker.startup import compose

    compose()
