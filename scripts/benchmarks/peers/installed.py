"""The environment that the others run in: made on first use, and none of this project's."""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from ifood_actors.errors import IfoodActorsError

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ifood-actors"


def installed_python() -> Path:
    """
    Give the Python that has the packages of `requirements.txt`, in the user's cache.

    Raises IfoodActorsError, with what uv said, when they cannot be fetched.
    """
    content = REQUIREMENTS.read_bytes() + sys.version.encode()
    folder = _CACHE / f"peers-{sha256(content).hexdigest()[:16]}"
    if not folder.exists():
        _install(folder)
    return folder / "bin" / "python"


def versions() -> dict[str, str]:
    """Give the version that is pinned of each package."""
    pinned = (line.split() for line in REQUIREMENTS.read_text().splitlines() if "==" in line)
    return dict(words[0].split("==") for words in pinned)


def _install(folder: Path) -> None:
    """Make all of it or nothing: a second call may do the same meanwhile."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    half = Path(mkdtemp(prefix=f"{folder.name}.", dir=_CACHE))
    _uv("venv", "--python", sys.executable, half)
    python = half / "bin" / "python"
    _uv("pip", "sync", "--python", python, "--require-hashes", "--no-build", REQUIREMENTS)
    half.rename(folder)


def _uv(*arguments: str | Path) -> None:
    done = subprocess.run(  # noqa: S603 - what scripts/setup put there
        ["uv", "--quiet", *arguments],  # noqa: S607 - the same
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise IfoodActorsError(f"the packages of {REQUIREMENTS.name}: {done.stderr.strip()}")
