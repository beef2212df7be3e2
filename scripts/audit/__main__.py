"""
Known vulnerabilities of what `uv.lock` pins, as the package registry tells them to pip-audit.

Ends with 1 when there is one; with CI=true it warns instead, since an advisory may be newer than a
commit that nobody has changed, and must not keep its tests from running. What cannot be found out
(no network, a mirror that knows nothing) is said on stderr and fails nothing. An answer holds for a
day: a hundred questions take ten seconds.
"""

import json
import os
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

LOCK = Path(__file__).parents[2] / "uv.lock"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ifood-actors"
DAY_SECONDS = 24 * 3600
PATIENCE_SECONDS = 30


class Unknown(Exception):
    """Nobody answered, with the reason."""


def main() -> int:
    """Say what is known; the exit code."""
    answer = CACHE / f"audit-{sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    if answer.exists() and time.time() - answer.stat().st_mtime < DAY_SECONDS:
        print(f"{answer.read_text()} (asked less than a day ago)", file=sys.stderr)
        return 0
    try:
        packages = ask()
    except Unknown as error:
        print(f"audit skipped: {error}", file=sys.stderr)
        return 0

    vulnerable = [package for package in packages if package.get("vulns")]
    for package in vulnerable:
        for found in package["vulns"]:
            mended = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {found['id']}, mended in {mended}")
    if vulnerable:
        warns = os.environ.get("CI") == "true"
        verdict = "WARNING" if warns else "FAILED"
        advice = "update them: `uv lock --upgrade-package NAME`"
        print(f"audit {verdict}: vulnerable packages in uv.lock; {advice}", file=sys.stderr)
        return 0 if warns else 1
    unknown = sum("skip_reason" in package for package in packages)
    line = f"audit: no known vulnerability in {len(packages) - unknown} packages"
    if unknown == len(packages):
        line = f"audit skipped: the registry tells nothing of {unknown} packages"
    elif unknown:
        line += f", and nothing is told of {unknown}"
    answer.parent.mkdir(parents=True, exist_ok=True)
    answer.write_text(line)
    print(line, file=sys.stderr)
    return 0


def ask() -> list[dict]:
    """Give what pip-audit found for each package; raises Unknown."""
    with TemporaryDirectory() as folder:
        pinned = Path(folder, "requirements.txt")
        export = ["uv", "export", "--frozen", "--all-extras", "--no-emit-project", "--quiet"]
        subprocess.run(  # noqa: S603 - programs that scripts/setup installed
            [*export, "--output-file", pinned],
            cwd=LOCK.parent,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        command = ["pip-audit", "--requirement", pinned, "--disable-pip", "--no-deps"]
        command += ["--format", "json", "--progress-spinner", "off", "--timeout", "5"]
        # It trusts a list of its own, as uv does: see scripts/setup.
        trusted = {"REQUESTS_CA_BUNDLE": os.environ.get("SSL_CERT_FILE", "")}
        try:
            done = subprocess.run(  # noqa: S603 - the same
                command,
                env={**trusted, **os.environ},
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise Unknown(f"the registry took longer than {PATIENCE_SECONDS} s") from None
    try:
        return json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        lines = done.stderr.strip().splitlines() or ["pip-audit said nothing"]
        raise Unknown(lines[-1]) from None


if __name__ == "__main__":
    sys.exit(main())
