"""What processes cost, from Linux's /proc: CPU seconds and resident memory."""

import os
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_MIB = 1024 * 1024
CORES = len(os.sched_getaffinity(0))

# proc(5), /proc/PID/stat, counted from the field after the name: parent; CPU of the process in user
# and kernel mode, and the same of its children that have ended.
_PARENT, _OWN_CPU, _FAMILY_CPU = 1, slice(11, 13), slice(11, 15)


@dataclass(frozen=True)
class Spent:
    """Seconds between two looks: of the clock, and of CPU, by part and by everybody else."""

    seconds: float
    cpu: Mapping[str, float]
    others: float

    @property
    def all_cpu(self) -> float:
        return sum(self.cpu.values())


class Meter:
    """Measures the CPU of parts, each a process with all its descendants, from now on."""

    def __init__(self, parts: Mapping[str, int]) -> None:
        self._parts = parts
        self._at = monotonic()
        self._cpu = self._read()
        self._busy = _busy_seconds()

    def spent(self) -> Spent:
        seconds = monotonic() - self._at
        cpu = {part: after - self._cpu[part] for part, after in self._read().items()}
        others = _busy_seconds() - self._busy - sum(cpu.values())
        return Spent(seconds, cpu, max(0.0, others))

    def _read(self) -> dict[str, float]:
        return {part: _tree_cpu_seconds(pid) for part, pid in self._parts.items()}


def resident_mib(pid: int) -> float:
    """Give the memory that a process holds; 0 when it is gone."""
    with suppress(OSError):
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / _MIB
    return 0.0


def peak_mib() -> float:
    """Give the most memory that this process ever held; `getrusage` counts its parent's, too."""
    status = (_PROC / "self" / "status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def children(pid: int) -> list[int]:
    """Give the ids of a process's children."""
    return _children_of()[pid]


def command_line(pid: int) -> str:
    with suppress(OSError):
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def _tree_cpu_seconds(root: int) -> float:
    # This process is a part of its own, though all others descend from it.
    if root == os.getpid():
        return sum(map(int, _stat(root)[_OWN_CPU])) / _TICKS
    family = _children_of()
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        total += sum(map(int, _stat(pid)[_FAMILY_CPU]))
        waiting += family[pid]
    return total / _TICKS


def _children_of() -> dict[int, list[int]]:
    family: dict[int, list[int]] = defaultdict(list)
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            family[int(fields[_PARENT])].append(int(entry.name))
    return family


def _stat(pid: int) -> list[str]:
    with suppress(OSError):
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return []


def _busy_seconds() -> float:
    """Give the CPU seconds of the whole machine: user, nice, system, interrupts, no idling."""
    user, nice, system, _idle, _waiting, irq, softirq = map(
        int, (_PROC / "stat").read_text().splitlines()[0].split()[1:8]
    )
    return (user + nice + system + irq + softirq) / _TICKS
