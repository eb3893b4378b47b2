"""How often a real campaign of two equal series is said to differ, its trials relabelled.

    python tests/benchmarks/relabel.py RESULTS/tables [--seeds 10]

The campaign has `aa: true` and compares nothing else: two series that are equal by construction.
Which trial of a pair carries which label is then chance alone. Every seed exchanges the labels of
each pair (trials of one repetition of one workload on as many nodes) or leaves them, and the
report's own comparison judges the result, without a noise floor. Target: no difference is claimed
under any seed. With 10 seeds of one campaign this is a check for gross faults; the error rate
itself is measured by `calibration.py`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from targets import Target, give_up, judge

from schedlab.metrics.difference import LARGER, SMALLER
from schedlab.report.comparison import COMPARED, differences
from schedlab.tables.build import load_tables


def relabelled(trials: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The trials with the labels of some pairs exchanged."""
    first, second = sorted(trials["scheduler"].unique())
    random = np.random.default_rng(seed)
    chosen = []
    for _, pair in trials.groupby(["workload", "nodes", "repetition"], observed=True):
        if len(pair) == 2 and random.integers(2):
            chosen += list(pair.index)
    other = {first: second, second: first}
    labels = trials["scheduler"].astype(str)
    labels[chosen] = labels[chosen].map(other)
    return trials.assign(scheduler=labels)


def main() -> int:
    """Relabel and compare; print a line a seed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("tables", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    trials = load_tables(arguments.tables).trials
    if trials["scheduler"].nunique() != 2:
        give_up(f"{arguments.tables} has not exactly two series")
    valid = trials["valid"].astype(bool)
    print(f"{int(valid.sum())} of {len(trials)} trials are valid")
    claimed = 0
    for seed in range(arguments.seeds):
        rows = differences(relabelled(trials, seed))["rows"]
        verdicts = [
            (f"{row['workload']} n{row['nodes']} {name}", value["verdict"])
            for row in rows
            for name, value in zip(COMPARED, row["values"], strict=True)
        ]
        false = [name for name, verdict in verdicts if verdict in (LARGER, SMALLER)]
        told = pd.Series([verdict for _, verdict in verdicts]).value_counts().to_dict()
        claimed += bool(false)
        print(f"seed {seed}: {told}{' FALSE: ' + ', '.join(false) if false else ''}")
    return judge({"seeds with a claim": claimed}, {"seeds with a claim": Target(0, most=True)})


if __name__ == "__main__":
    sys.exit(main())
