"""iFood as a command asks it: as all processes do, with named faults if it is away."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import Engine

from ifood_actors.cli.output import duration
from ifood_actors.config import Settings
from ifood_actors.errors import (
    CredentialsRefused,
    IfoodActorsError,
    NeedsAuthorization,
    ServerFault,
    ServiceUnavailable,
    Throttled,
)
from ifood_actors.ifood import Ifood, connect_ifood


@contextmanager
def ifood(engine: Engine, settings: Settings) -> Iterator[Ifood]:
    """
    Give iFood for the length of one command.

    Raises UsageError without a key to read the secrets with, ServiceUnavailable when iFood fails
    or cannot be reached, and IfoodActorsError when it refuses the credentials or an
    authorization.
    """
    url = settings.api_base_url
    with closing(connect_ifood(engine, settings, threads=1)) as asked:
        try:
            yield asked
        except ServerFault as error:
            raise ServiceUnavailable(f"iFood at {url}: {error}") from None
        except Throttled as error:  # also for some seconds after iFood has failed
            raise IfoodActorsError(
                f"iFood at {url} is not asked now: {error}; try again in {duration(error.after)}"
            ) from None
        except (CredentialsRefused, NeedsAuthorization) as error:
            raise IfoodActorsError(f"iFood at {url} refused: {error}") from None
