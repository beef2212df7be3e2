"""What is not installed by default: the extras `demo`, `web` and `export`."""

from importlib.util import find_spec

from ifood_actors.errors import UsageError

_SERVER = ("starlette", "uvicorn")  # Postgres may come from the machine as well


def require_demo() -> None:
    """Raise UsageError unless the simulator can be imported."""
    _require(_SERVER, extra="demo")


def require_web() -> None:
    """Raise UsageError unless the web process can be imported."""
    _require(_SERVER, extra="web")


def require_export(package: str) -> None:
    """Raise UsageError unless a format's package can be imported."""
    _require((package,), extra="export")


def _require(packages: tuple[str, ...], *, extra: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{' and '.join(missing)} not installed: the extra `{extra}` brings it, as in "
            f"`uv sync --extra {extra}`"
        )
