"""What the benchmarks share: the environment of the stages, and targets with their verdict.

Exit status of every benchmark: 0 when all targets are met, 1 when one is missed, 2 when nothing
could be measured.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parents[2]
MET, MISSED, TROUBLE = 0, 1, 2


class Target(NamedTuple):
    """A bound: the most, or the least, that a measured number may be."""

    bound: float
    most: bool

    def met(self, value: float) -> bool:
        """Whether a value keeps the bound."""
        return value <= self.bound if self.most else value >= self.bound


def environment(results: Path, experiments: Path) -> dict[str, str]:
    """Environment in which rules and stages find this checkout's programs, activated or not."""
    programs = Path(sys.executable).parent
    return os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "SCHEDLAB_RESULTS": str(results.resolve()),
        "SCHEDLAB_EXPERIMENTS": str(experiments.resolve()),
    }


def judge(measured: dict[str, float], targets: dict[str, Target]) -> int:
    """Say of each target whether it is met; return the exit status."""
    missed = 0
    for name, target in targets.items():
        met = target.met(measured[name])
        missed += not met
        print(
            f"{name}: {measured[name]:g}, target at {'most' if target.most else 'least'} "
            f"{target.bound:g}: {'met' if met else 'MISSED'}"
        )
    return MISSED if missed else MET


def give_up(message: str) -> NoReturn:
    """End without a measurement."""
    print(message, file=sys.stderr)
    sys.exit(TROUBLE)
