"""What the manual has people ask systemd, where it runs this machine; no unit is installed here."""

import re
import subprocess
from pathlib import Path

from deployment.engine import lacks
from deployment.site import MANUAL


def test_systemctl_understands_the_question_after_an_upgrade():
    if not Path("/run/systemd/system").exists():
        lacks("systemctl was not asked: systemd does not run this machine")
    [line] = set(re.findall(r"`(systemctl list-units --failed [^`]+)`", MANUAL))

    subprocess.run(["sh", "-c", line], check=True)
