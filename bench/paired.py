"""Whole commands timed side by side: in turn, A B A B, so that a machine that slows down slows both."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Run:
    cpu: float  # seconds, of the process and all its children
    wall: float  # seconds
    rss: float  # MB, of its largest process


def time_command(command: str) -> Run:
    start = time.perf_counter()
    child = subprocess.Popen(shlex.split(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        raise SystemExit(f"{command!r} ended with {child.returncode}")
    return Run(usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss / 1024)


def table(commands: Mapping[str, str], runs: int) -> None:
    """Prints a row for each command, and how it compares with the first, pair by pair."""
    measured: dict[str, list[Run]] = {name: [] for name in commands}
    for command in commands.values():
        time_command(command)  # warm-up
    for _ in range(runs):
        for name, command in commands.items():
            measured[name].append(time_command(command))
    first = next(iter(measured.values()))
    print(f"{'':24}{'CPU s min':>11}{'median':>9}{'wall s min':>12}{'median':>9}{'peak MB':>9}{'CPU ratio':>11}")
    for name, own in measured.items():
        cpu, wall = [run.cpu for run in own], [run.wall for run in own]
        ratio = median(mine.cpu / theirs.cpu for mine, theirs in zip(first, own, strict=True))
        print(
            f"{name:24}{min(cpu):11.3f}{median(cpu):9.3f}{min(wall):12.3f}{median(wall):9.3f}"
            f"{max(run.rss for run in own):9.0f}{ratio:11.2f}"
        )
    print("CPU ratio: the first command's CPU seconds over this one's, median of the pairs")
