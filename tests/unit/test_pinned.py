"""All that others wrote and we run has one version, and a hash of it where there can be one."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK: dict[str, Any] = tomllib.loads((ROOT / "uv.lock").read_text())
DOCKERFILE = (ROOT / "infra/docker/Dockerfile").read_text()
SERVICES = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
UV = (ROOT / "infra/uv.txt").read_text()
PEERS = (ROOT / "scripts/benchmarks/peers/requirements.txt").read_text()
[VERSION] = re.findall(r"^uv==(\S+)", UV, re.MULTILINE)

# Where somebody types, or a script does.
_FOLDERS = ("scripts", ".ci", "infra", "docs", "tests/deployment/stand_ins")
_FILES = [path for name in _FOLDERS for path in (ROOT / name).rglob("*") if path.is_file()]
TYPED = [*_FILES, *ROOT.glob("*.md"), ROOT / "compose.yaml"]
_DIGEST = r"@sha256:[0-9a-f]{64}"


def lines(what: str) -> list[str]:
    """Give every line that calls something, with what it is continued by."""
    found = []
    for path in TYPED:
        if path.suffix == ".pyc":
            continue
        text = re.sub(r"\\\n\s*", "", path.read_text(errors="replace"))
        found += [line for line in text.splitlines() if re.search(what, line)]
    return found


def test_pip_installs_nothing_without_a_hash():
    calls = lines(r"\bpip3?\"? install\b")

    assert len(calls) == 4
    assert [line for line in calls if "--require-hashes" not in line] == []
    assert [line for line in calls if "--only-binary :all:" not in line] == []


def test_uv_installs_what_is_locked():
    calls = lines(r"\buv sync (?!`)")

    assert len(calls) >= 5
    assert [line for line in calls if "--frozen" not in line] == []
    assert [line for line in lines(r"\buv run\b") if "--no-sync" not in line] == []


def test_nothing_else_fetches_programs():
    assert lines(r"\b(uvx|pipx|npx|npm|easy_install|gem|cargo|go) (install|run|exec)\b") == []
    assert lines(r"\b(curl|wget)\b.*\|\s*(ba|da)?sh\b") == []
    assert lines(r"\buv (tool|pip) install\b") == []


def test_every_locked_package_has_hashes():
    fetched = [each for each in LOCK["package"] if "registry" in each["source"]]
    ours = [each["name"] for each in LOCK["package"] if "registry" not in each["source"]]

    assert ours == ["ifood-actors"]
    assert [
        each["name"]
        for each in fetched
        for file in [*each.get("wheels", []), *([each["sdist"]] if "sdist" in each else [])]
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", file.get("hash", ""))
    ] == []


def test_uv_and_the_build_backend_are_one_version_with_hashes():
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", UV)) > 1
    assert PROJECT["build-system"]["requires"] == [f"uv_build=={VERSION}"]
    assert PROJECT["tool"]["uv"]["required-version"] == f"=={VERSION}"


def test_what_ours_is_compared_with_has_versions_and_hashes():
    packages = re.sub(r"\\\n\s*", "", PEERS).splitlines()

    assert len(packages) > 3
    pinned = r"[\w.-]+(\[[\w,]+\])?==[\d.]+ (; .+ )?(--hash=sha256:[0-9a-f]{64} ?)+"
    assert [line for line in packages if not re.fullmatch(pinned, line)] == []


def test_the_build_fetches_nothing(tmp_path):
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is on nobody's PATH here; scripts/test puts it there")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src")

    done = subprocess.run(
        [uv, "build", "--wheel", "--offline", "--no-cache", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "dist").glob("ifood_actors-*.whl"))


@pytest.mark.parametrize(
    "image",
    sorted(
        {each["image"] for each in SERVICES.values()} - {"ifood-actors"}
        | set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    ),
)
def test_an_image_has_its_whole_version_and_a_digest(image):
    assert re.fullmatch(rf"[\w./-]+:v?\d+\.\d+(\.\d+)?(-[\w-]+)?{_DIGEST}", image)
