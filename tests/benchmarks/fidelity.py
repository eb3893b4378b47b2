"""How many trials a verdict on virtual nodes needs, and how often it is false.

python tests/benchmarks/fidelity.py [--cells 20000]

SYNTHETIC: a quantity of trials on real and on virtual nodes, with normal noise on the logarithms.
Intervals and verdicts are the project's. Printed for each noise of a trial, design and number of
trials a side: per cent of cells with the verdict *within 5 %* where virtual nodes are off by 0, 1.7
and 5 % (the last is false), and with *off by more than 5 %* where they are off by 10 % and by 5 %
(the last is false).
"""

from __future__ import annotations

import argparse

import numpy as np

from schedlab.metrics.difference import Block, effects
from schedlab.metrics.fidelity import verdict
from schedlab.metrics.statistics import Interval

MARGIN = 0.05
NOISE = (0.01, 0.02, 0.05)
TRIALS = (3, 4, 6, 10, 20)
SHARED = 0.7
"""Correlation of the two trials of a pair: they ran the same trace, other pairs another one."""


def verdicts(
    error: float,
    noise: float,
    trials: int,
    cells: int,
    chance: np.random.Generator,
    *,
    paired: bool,
) -> list[str]:
    """Verdicts of many cells whose virtual nodes are off by `error`."""
    shape = (cells, trials, 1)
    own = np.sqrt(1 - SHARED) if paired else 1.0
    trace = np.sqrt(SHARED) * chance.normal(size=shape) if paired else np.zeros(shape)
    virtual, real = (np.exp(noise * (trace + own * chance.normal(size=shape))) for _ in range(2))
    block = Block((1 + error) * virtual, real, paired, np.array([True]), np.zeros(1))
    ratio, low, high = (found[:, 0] - 1 for found in effects(block))
    return [
        verdict(Interval(*map(float, bounds), trials, "t", ""), MARGIN, MARGIN)
        for bounds in zip(ratio, low, high, strict=True)
    ]


def main() -> None:
    """Print the table of docs/statistics.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=20_000)
    cells = parser.parse_args().cells
    chance = np.random.default_rng(20260901)
    print(
        "| noise of a trial | design | trials a side | within: off by 0 % | within: off by 1.7 % |"
        " within: off by 5 % (false) | off: off by 10 % | off: off by 5 % (false) |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for noise in NOISE:
        for paired in (True, False):
            for trials in TRIALS:

                def part(error: float, word: str) -> str:
                    found = verdicts(error, noise, trials, cells, chance, paired=paired)  # noqa: B023
                    return f"{100 * np.mean([one.startswith(word) for one in found]):.1f}"

                row = [part(error, "within") for error in (0.0, 0.017, MARGIN)]
                row += [part(error, "off") for error in (0.1, MARGIN)]
                design = "paired" if paired else "unpaired"
                print(f"| {100 * noise:g} % | {design} | {trials} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
