"""What is not installed by default: the extra `demo`."""

from importlib.util import find_spec

from ifood_actors.errors import UsageError

_PACKAGES = ("starlette", "uvicorn")  # Postgres may come from the machine as well


def require_demo() -> None:
    """Raise UsageError unless the simulator can be imported."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise UsageError(f"{' and '.join(missing)} not installed: pip install 'ifood-actors[demo]'")
