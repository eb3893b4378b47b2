"""Processor time that commands take before they begin their work.

    .venv/bin/python tests/benchmarks/startup.py [--rounds N]

A campaign of a thousand trials starts Python some ten thousand times: once for each trace, trial
and log. Every command is started `rounds` times with what it imports first and nothing else. Prints
medians in seconds, and of the targets whether they are met: above a Python that imports click
alone, the end of a log's pipe, which every job pays, takes at most 0.1 s, and a command that reads
only the configuration at most 1 s. Exit status 0: met, 1: missed.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from targets import ROOT, Target, environment, judge
from test_startup import COMMANDS

TARGETS = {"log": Target(0.1, most=True), "trace-workload": Target(1.0, most=True)}
"""Seconds above those of Python with click."""


def processor_seconds(code: str, rounds: int) -> float:
    """Median of the user and system time of a Python that runs `code`."""
    taken = []
    settings = environment(ROOT / "results", ROOT / "config/experiments.yaml")
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, env=settings)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(taken)


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    bare = processor_seconds("import click", rounds)
    print(f"{'Python with click':28}{bare:7.2f} s")
    measured = {}
    for command, (imports, _) in COMMANDS.items():
        seconds = processor_seconds(f"import schedlab.cli.main; {imports}", rounds)
        measured[command] = round(seconds - bare, 3)
        print(f"{command:28}{seconds:7.2f} s")
    return judge(measured, TARGETS)


if __name__ == "__main__":
    sys.exit(main())
