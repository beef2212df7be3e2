"""`ifood-actors simulator`: the command of `ifood_simulator`, which is a package of its own."""

from functools import wraps
from typing import Any

from ifood_actors.errors import UsageError
from ifood_simulator import command
from ifood_simulator.errors import UsageError as Refused


@wraps(command.simulator)
def simulator(**options: Any) -> None:  # noqa: ANN401 - typer reads the signature that is wrapped
    try:
        command.simulator(**options)
    except Refused as error:
        raise UsageError(str(error)) from None
