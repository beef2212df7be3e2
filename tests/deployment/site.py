"""A place where somebody deploys: a clone, its `.env`, and the lines of the manual to type."""

import json
import re
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from cryptography.fernet import Fernet
from deployment.terminal import Answer, typed_at
from support.program import Outcome

from ifood_actors.embedded import docker
from ifood_actors.embedded.processes import free_port

ROOT = docker.COMPOSE_FILE.parent
MANUAL = (ROOT / "docs/operations.md").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(docker.COMPOSE_FILE.read_text())["services"]
OURS = [name for name, each in SERVICES.items() if each["image"] == "ifood-actors"]

_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINES = [line for block in _BLOCK.findall(MANUAL) for line in block.splitlines()]
_PATIENCE_SECONDS = 300
_SHELL = ("bash", "-o", "pipefail", "-c")


def typed(beginning: str) -> str:
    """Give the one line of the manual that begins so, without its remark."""
    found = {re.sub(r"  +#.*$", "", line) for line in _LINES if line.startswith(beginning)}
    [line] = found
    return line


@dataclass(frozen=True)
class Site:
    """A folder with everything that a clone has, and a compose project of its own."""

    folder: Path
    images: Mapping[str, str]
    environment: Mapping[str, str]
    project: str = field(default_factory=lambda: f"ifood-{secrets.token_hex(4)}")
    password: str = field(default_factory=lambda: secrets.token_hex(12))

    def prepare(self, simulator: Mapping[str, str]) -> None:
        """Copy what git knows, name the images that are there, and write `.env`."""
        listed = subprocess.check_output(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT
        )
        self.folder.mkdir()
        subprocess.run(
            ["xargs", "-0", "cp", "--parents", "--target-directory", self.folder],
            input=listed,
            cwd=ROOT,
            check=True,
        )
        dockerfile = self.folder / "infra/docker/Dockerfile"
        text = dockerfile.read_text()
        for name, image in self.images.items():
            text = text.replace(f"FROM {name}", f"FROM {image}")
        dockerfile.write_text(text)
        self.override({})
        self.settings(
            POSTGRES_PASSWORD=self.password,
            RABBITMQ_PASSWORD=self.password,
            IFOOD_ENCRYPTION_KEYS=Fernet.generate_key().decode(),
            COMPOSE_PROFILES="simulator",
            **{name: str(free_port()) for name in re.findall(r"\{(\w+_PORT):-", self.compose)},
            **simulator,
        )

    @property
    def _environment(self) -> dict[str, str]:
        return {**self.environment, "COMPOSE_PROJECT_NAME": self.project}

    @property
    def compose(self) -> str:
        return (self.folder / "compose.yaml").read_text()

    def settings(self, **settings: str) -> None:
        """Write lines of `.env`, in place of former ones of the same names."""
        path = self.folder / ".env"
        former = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in former if line.partition("=")[0] not in settings]
        lines = [f"{name}='{value}'" for name, value in settings.items() if value]
        path.touch(mode=0o600)
        path.write_text("\n".join([*kept, *lines]) + "\n")

    def override(self, services: Mapping[str, Mapping[str, Any]]) -> None:
        """Write `compose.override.yaml`: what the manual puts there, and images that are here."""
        image = {name: self.images.get(each["image"]) for name, each in SERVICES.items()}
        image |= dict.fromkeys(OURS, self.project)
        merged = {name: {"image": each} for name, each in image.items() if each}
        for name, more in services.items():
            merged.setdefault(name, {}).update(more)
        (self.folder / "compose.override.yaml").write_text(yaml.safe_dump({"services": merged}))

    def __call__(self, line: str, stdin: str = "", *, within: float = _PATIENCE_SECONDS) -> Outcome:
        """Type a line into a shell."""
        ran = subprocess.run(
            [*_SHELL, line],
            cwd=self.folder,
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        return Outcome(ran.returncode, ran.stdout, ran.stderr)

    def on_a_terminal(self, line: str, *answers: Answer) -> Outcome:
        """Type a line, and answers, into a terminal; what it shows is the outcome's `out`."""
        command = [*_SHELL, line]
        code, shown = typed_at(
            command,
            *answers,
            cwd=str(self.folder),
            env=self._environment,
            within=_PATIENCE_SECONDS,
        )
        return Outcome(code, shown, "")

    def done(self, line: str, stdin: str = "") -> str:
        """Type a line that must work, and give its stdout."""
        ran = self(line, stdin)
        assert ran.code == 0, f"{line}: {ran.code}\n{ran.out}\n{ran.err}"
        return ran.out

    def status(self) -> Any:
        """Ask where commands that read belong: with a login of its own, others may not."""
        return json.loads(self.done("docker compose exec -T web ifood-actors status --json"))

    def states(self) -> dict[str, tuple[str, int]]:
        """Give the state and the exit code of the containers, by service."""
        lines = self.done("docker compose ps --all --format json").splitlines()
        rows = [json.loads(line) for line in lines]
        return {row["Service"]: (row["State"], row["ExitCode"]) for row in rows}
