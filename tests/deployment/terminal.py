"""A person at a terminal, who types an answer when a program asks for it."""

import os
import pty
import termios
from collections.abc import Sequence
from contextlib import suppress
from select import select
from subprocess import Popen
from time import monotonic

UNSEEN = "the echo is off"
Answer = tuple[str, str]  # what the terminal shows before it, or UNSEEN; what is typed


def typed_at(
    command: Sequence[str], *answers: Answer, cwd: str, env: dict[str, str], within: float
) -> tuple[int, str]:
    """Run a command on a terminal of its own; give its exit code, and all that was to be seen."""
    ours, its = pty.openpty()
    process = Popen(command, stdin=its, stdout=its, stderr=its, cwd=cwd, env=env)
    os.close(its)
    give_up = monotonic() + within
    shown = ""
    try:
        for prompt, answer in answers:
            seen = len(shown)
            while not (_echo_is_off(ours) if prompt == UNSEEN else prompt in shown[seen:]):
                assert monotonic() < give_up, f"{prompt!r} was not asked: {shown}"
                shown += _read(ours)
            os.write(ours, f"{answer}\n".encode())
        with suppress(OSError):  # the last one has closed the other end
            while monotonic() < give_up:
                shown += _read(ours)
        return process.wait(10), shown
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _echo_is_off(terminal: int) -> bool:
    return not termios.tcgetattr(terminal)[3] & termios.ECHO


def _read(terminal: int) -> str:
    ready, _, _ = select([terminal], [], [], 0.2)
    return os.read(terminal, 65536).decode(errors="replace") if ready else ""
