"""What the level `deployment` needs: an engine, images, and a place to deploy."""

import os
import re
from collections.abc import Iterator

import pytest
from deployment import engine
from deployment.engine import lacks
from deployment.site import MANUAL, ROOT, SERVICES, Site, typed

_OBSERVABILITY = {"prometheus", "alertmanager", "grafana"}


@pytest.fixture(scope="session")
def image_of():
    """Give the image of a service; without it the test is skipped on a laptop and fails in CI."""
    if reason := engine.lacking():
        lacks(f"no container was run: {reason}")

    def image_of(service: str) -> tuple[str, str]:
        name = SERVICES[service]["image"]
        found = engine.image(name)
        return name, found or lacks(
            f"{service} was not run: no registry gives {name}, and no "
            "package of Debian stands in for it"
        )

    return image_of


@pytest.fixture(scope="session")
def site(image_of, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Lend a clone with its `.env`; nothing runs yet."""
    dockerfile = (ROOT / "infra/docker/Dockerfile").read_text()
    [base] = set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE))
    images = dict(image_of(service) for service in ("postgres", "rabbitmq"))
    images |= {name: found for name in _others() if (found := engine.image(name))}
    images[base] = engine.image(base) or lacks(f"nothing was run: no registry gives {base}")
    site = Site(tmp_path_factory.mktemp("deployment") / "a clone", images, _environment())
    [lines] = re.findall(r"^```sh\n((?:IFOOD_API_\w+=.*simulator.*\n)+)```", MANUAL, re.MULTILINE)
    site.prepare(dict(line.split("=", 1) for line in lines.splitlines()))
    yield site
    site(f"docker compose --profile '*' down --volumes; docker image rm --force {site.project}")


@pytest.fixture(scope="session")
def running(site: Site) -> Site:
    """Lend the place with everything up, by the one line that the manual has for it."""
    site.done(typed("docker compose up --detach --wait --build"))
    return site


def _others() -> set[str]:
    return {SERVICES[service]["image"] for service in _OBSERVABILITY}


def _environment() -> dict[str, str]:
    """Give what whoever deploys has, but none of our settings; the build trusts whom uv does."""
    own = re.compile("IFOOD_|COMPOSE_|.*_(PASSWORD|PORT)$|WORKERS$|ALERTMANAGER_")
    kept = {name: value for name, value in os.environ.items() if not own.match(name)}
    authorities = os.environ.get("SSL_CERT_FILE")
    return kept | ({"BUILD_CA_FILE": authorities} if authorities else {})
