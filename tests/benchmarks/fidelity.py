"""How many trials a verdict on virtual nodes needs, and how often it is false.

python tests/benchmarks/fidelity.py [--cells 20000]

SYNTHETIC: a quantity of trials on real and on virtual nodes, with normal noise on the logarithms:
of each trial, of the trace that the trials of a pair share, and of each cluster. Intervals and
verdicts are the project's, over the means of clusters from 3 of them on (as
`schedlab.metrics.sides` has it), else over trials. Printed for each noise of a trial and of a
cluster, design, and number of clusters and trials a side: per cent of cells with the verdict
*within 5 %* where virtual nodes are off by 0, 1.7 and 5 % (the last is false), and with *off by
more than 5 %* where they are off by 10 % and by 5 % (the last is false).
"""

from __future__ import annotations

import argparse

import numpy as np

from schedlab.metrics.difference import Block, effects
from schedlab.metrics.fidelity import verdict
from schedlab.metrics.statistics import MINIMUM, Interval

MARGIN = 0.05
NOISE = (0.01, 0.02, 0.05)
TRIALS = (3, 4, 6, 10, 20)
CLUSTERS = ((0.02, 1, 6), (0.02, 3, 4), (0.02, 5, 4), (0.005, 3, 4))
"""Noise of a cluster, clusters a side, trials of each; the noise of a trial is then 2 %."""
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
    clusters: int = 1,
    of_cluster: float = 0.0,
) -> list[str]:
    """Verdicts of many cells whose virtual nodes are off by `error`.

    `trials` is of each cluster; the clusters run the same traces, and `of_cluster` is the noise of
    a cluster.
    """
    shape = (cells, clusters, trials)
    own = np.sqrt(1 - SHARED) if paired else 1.0
    trace = np.sqrt(SHARED) * chance.normal(size=(cells, 1, trials)) if paired else 0.0
    virtual, real = (
        noise * (trace + own * chance.normal(size=shape))
        + of_cluster * chance.normal(size=(cells, clusters, 1))
        for _ in range(2)
    )
    if clusters >= MINIMUM:
        virtual, real, paired = virtual.mean(axis=2), real.mean(axis=2), False
    a, b = (np.exp(side.reshape(cells, -1, 1)) for side in (virtual, real))
    block = Block((1 + error) * a, b, paired, np.array([True]), np.zeros(1))
    ratio, low, high = (found[:, 0] - 1 for found in effects(block))
    return [
        verdict(Interval(*map(float, bounds), a.shape[1], "t", ""), MARGIN, MARGIN)
        for bounds in zip(ratio, low, high, strict=True)
    ]


def main() -> None:
    """Print the table of docs/statistics.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=20_000)
    cells = parser.parse_args().cells
    chance = np.random.default_rng(20260901)
    print(
        "| noise of a trial | of a cluster | design | clusters x trials a side | within: off by 0"
        " % | within: off by 1.7 % | within: off by 5 % (false) | off: off by 10 % |"
        " off: off by 5 % (false) |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    plain = [(noise, 0.0, p, 1, n) for noise in NOISE for p in (True, False) for n in TRIALS]
    made_anew = [(0.02, noise, p, c, n) for noise, c, n in CLUSTERS for p in (True, False)]
    for noise, of_cluster, paired, clusters, trials in plain + made_anew:

        def part(error: float, word: str) -> str:
            found = verdicts(
                error, noise, trials, cells, chance,  # noqa: B023
                paired=paired, clusters=clusters, of_cluster=of_cluster,  # noqa: B023
            )  # fmt: skip
            return f"{100 * np.mean([one.startswith(word) for one in found]):.1f}"

        row = [part(error, "within") for error in (0.0, 0.017, MARGIN)]
        row += [part(error, "off") for error in (0.1, MARGIN)]
        design = "paired" if paired else "unpaired"
        size = f"{clusters} x {trials}"
        noises = f"{100 * noise:g} % | {100 * of_cluster:g} %"
        print(f"| {noises} | {design} | {size} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
