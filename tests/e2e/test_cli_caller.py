"""Whom the history names, by the word of a real kernel, once the process is another user."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

LOGIN = Path("/proc/self/loginuid")
# What `setpriv` does in infra/systemd/ifood-actors; nobody may look where Python is.
AS_NOBODY = """
import os
from ifood_actors.cli.work.caller import operator

os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
print(operator())
"""
HOST = socket.gethostname()


@pytest.fixture
def called(tmp_path: Path):
    """Name who acts, in a process that has lost its rights, for a login that the kernel knows."""
    if os.geteuid() != 0 or not LOGIN.exists():
        pytest.skip("only root may say who has logged in, to a kernel with audit")

    def called(*, login: int, said: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-c", AS_NOBODY],
            env={"PATH": os.environ["PATH"], "SUDO_USER": said},
            cwd=tmp_path,
            preexec_fn=lambda: LOGIN.write_text(str(login)),  # as pam_loginuid does
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stdout.strip()

    return called


def test_who_logged_in_is_named_although_the_process_is_another_user_and_says_another(called):
    assert called(login=1, said="joao") == f"cli daemon@{HOST}"


def test_where_nobody_logged_in_the_user_of_the_process_stands_beside_a_claim(called):
    assert called(login=2**32 - 1, said="maria") == f"cli maria@{HOST} as nobody"
