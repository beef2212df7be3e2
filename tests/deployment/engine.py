"""The engine that answers `docker`, and the images that it has, can fetch, or has stand-ins for."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

STAND_INS = Path(__file__).with_name("stand_ins")
_PULL_SECONDS = 300

# As compose.yaml and the Dockerfile call them, without their tags.
_KNOWN = {
    "python": "python",
    "postgres": "postgres",
    "rabbitmq": "rabbitmq",
    "prom/prometheus": "prometheus",
    "prom/alertmanager": "alertmanager",
}


def lacking() -> str | None:
    """Say why no container can be run here; None if one can."""
    if shutil.which("docker") is None:
        return "there is no program `docker`"
    for probe in (["info"], ["compose", "version"], ["buildx", "version"]):
        if not _succeeds(["docker", *probe]):
            return f"`docker {' '.join(probe)}` fails"
    return None


@cache
def image(name: str) -> str | None:
    """Give the image, or a stand-in from Debian's packages where no registry answers, or None."""
    if _succeeds(["docker", "image", "inspect", name]) or _succeeds(["docker", "pull", name]):
        return name
    known = _KNOWN.get(name.partition(":")[0])
    return f"ifood-stand-in:{known}" if known and _stand_ins_are_there() else None


@cache
def _stand_ins_are_there() -> bool:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        return False
    subprocess.run([STAND_INS / "build"], check=True, stdin=subprocess.DEVNULL)
    return True


def lacks(what: str) -> NoReturn:
    """Say what is not run, and why; in CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def _succeeds(command: list[str]) -> bool:
    done = subprocess.run(
        command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PULL_SECONDS, check=False
    )
    return done.returncode == 0
