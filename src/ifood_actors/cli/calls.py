"""iFood as a command asks it: as all processes do, with named faults if it is away."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
from ifood_actors.ifood import (
    Authorizer,
    Cipher,
    IfoodClient,
    Tokens,
    fleet_access,
    fleet_limiter,
    fleet_tokens,
    http_client,
)


@dataclass(frozen=True)
class Ifood:
    """What commands ask iFood with."""

    client: IfoodClient
    tokens: Tokens
    authorizer: Authorizer


@contextmanager
def ifood(engine: Engine, settings: Settings) -> Iterator[Ifood]:
    """
    Give iFood for the length of one command.

    Raises UsageError without a key to read the secrets with, ServiceUnavailable when iFood fails
    or cannot be reached, and IfoodActorsError when it refuses the credentials or an
    authorization.
    """
    url, limiter = settings.api_base_url, fleet_limiter(engine, settings)
    with http_client(threads=1, ca_file=settings.api_ca_file) as http:
        tokens = fleet_tokens(engine, settings, http=http, limiter=limiter)
        asked = Ifood(
            client=IfoodClient(base_url=url, http=http, access=fleet_access(tokens, limiter)),
            tokens=tokens,
            authorizer=Authorizer(
                engine,
                cipher=Cipher(settings.require_encryption_keys()),
                limiter=limiter,
                http=http,
                base_url=url,
            ),
        )
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
