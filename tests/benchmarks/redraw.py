"""Processor time and memory to draw every figure again from the tables, as after a change to one.

    .venv/bin/python tests/benchmarks/redraw.py
    .venv/bin/python tests/benchmarks/redraw.py --trials 1000

The tables are of SYNTHETIC trials (`tests/unit/trial_factory.py`), the default sweep of 24, or that
sweep again and again, with as many samples of other metrics as trials on machines have. Each figure
is drawn as its rule does it, by a process of its own; many trials, which no record describes,
without the checks of records. Prints processor seconds, steady under load,
and the peak of the resident memory of each, and whether the targets are met: all figures of 24
trials take at most 60 s together, and none of any number of trials more than 600 MB.
Exit status 0: met, 1: missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from targets import ROOT, Target, environment, judge

sys.path.insert(0, str(ROOT / "tests" / "unit"))

import bundle_factory  # noqa: E402
from trial_factory import make_experiment  # noqa: E402

from schedlab.figures import FIGURES  # noqa: E402
from schedlab.stages.context import Context  # noqa: E402
from schedlab.stages.tables import write_tables  # noqa: E402
from schedlab.tables.schemas import SAMPLES_SCHEMA  # noqa: E402

SWEEP = 24
SAMPLES = 6_000
"""Samples of a trial of 20 s on three machines: 35,709 were counted in six trials of Slurm."""
DRAW = """
import sys
from pathlib import Path
from schedlab.figures import draw
name, results = sys.argv[1], Path(sys.argv[2])
draw(name, results / "tables", results / "figures" / f"{name}.svg")
"""
TIME = {"all_figures_processor_seconds": Target(60, most=True)}
MEMORY = {"largest_resident_mb": Target(600, most=True)}


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=SWEEP)
    trials = parser.parse_args().trials
    experiment = make_experiment()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        bundle_factory.make_stages(results, experiment)
        bundle_factory.add_trials(results, experiment)
        write_tables(Context(experiment, results))
        if trials > SWEEP:
            multiply(results / "tables", -(-trials // SWEEP))
        variables = environment(results, ROOT / "config/experiments.yaml")
        total, largest = 0.0, 0.0
        for name in FIGURES:
            command = [sys.executable, "-m", "schedlab", "figure", "--figure", name]
            if trials > SWEEP:
                command = [sys.executable, "-c", DRAW, name, folder]
            seconds, memory = cost(command, variables)
            total, largest = total + seconds, max(largest, memory)
            print(f"{name:14}{seconds:7.2f} s{memory:8.0f} MB")
    measured = {"all_figures_processor_seconds": round(total, 1), "largest_resident_mb": largest}
    return judge(measured, MEMORY | (TIME if trials <= SWEEP else {}))


def cost(command: list[str], variables: dict[str, str]) -> tuple[float, float]:
    """Processor time (s) and peak of the resident memory (MB) of a command."""
    process = subprocess.Popen(command, env=variables, cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} ended with status {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


def multiply(tables: Path, times: int) -> None:
    """Repeat the trials of tables, with other repetitions, and fill up their samples."""
    for name in ("trials", "jobs", "samples"):
        path = tables / f"{name}.parquet"
        table = pq.read_table(path)
        with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
            for number in range(times):
                own = table
                for column, values in renamed(table, number).items():
                    place = own.schema.get_field_index(column)
                    own = own.set_column(place, own.schema.field(place), values)
                writer.write_table(own)
                if name == "samples":
                    trials = pc.unique(own["trial"]).to_pylist()
                    for trial in trials:
                        writer.write_table(others(str(trial)))


def renamed(table: pa.Table, number: int) -> dict[str, pa.Array]:
    """Columns that tell the trial, for one more round of repetitions."""
    parts = pd.Series(table["trial"].to_pylist()).str.rsplit(".", n=1, expand=True)
    repetition = parts[1].astype(int) + 3 * number
    trial = parts[0] + "." + repetition.astype(str)
    found = {"trial": pa.array(trial).cast(table.schema.field("trial").type)}
    if "repetition" in table.schema.names:
        found["repetition"] = pa.array(repetition).cast(table.schema.field("repetition").type)
    return found


def others(trial: str) -> pa.Table:
    """Samples of one trial that no figure draws."""
    series = SAMPLES // 20
    place = np.repeat(np.arange(series), 20)
    content = {
        "trial": [trial] * len(place),
        "lineage": ["0" * 64] * len(place),
        "t_ns": np.tile(np.arange(20) * 10**9, series),
        "metric": [f"node_other_{number // 3}_total" for number in place],
        "instance": [("head", "compute1", "compute2")[number % 3] for number in place],
        "labels": [f'{{"job": "node", "of": "{number}"}}' for number in place],
        "value": np.arange(len(place), dtype=float),
    }
    return pa.Table.from_pydict(content, schema=SAMPLES_SCHEMA)


if __name__ == "__main__":
    sys.exit(main())
