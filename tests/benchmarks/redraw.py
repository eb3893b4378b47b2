"""Processor time to draw every figure again from the tables, as after a change to a figure.

    .venv/bin/python tests/benchmarks/redraw.py

The tables are of SYNTHETIC trials (`tests/unit/trial_factory.py`), the default sweep of 24. Each
figure is drawn as its rule does it, by a process of its own. Prints processor seconds of each,
steady under load, and whether the target is met: all figures take at most 60 s together.
Exit status 0: met, 1: missed.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from targets import ROOT, Target, environment, judge

sys.path.insert(0, str(ROOT / "tests" / "unit"))

import bundle_factory  # noqa: E402
from trial_factory import make_experiment  # noqa: E402

from schedlab.figures import FIGURES  # noqa: E402
from schedlab.stages.context import Context  # noqa: E402
from schedlab.stages.tables import write_tables  # noqa: E402

TARGETS = {"all_figures_processor_seconds": Target(60, most=True)}


def main() -> int:
    """Measure, print, judge."""
    experiment = make_experiment()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        bundle_factory.make_stages(results, experiment)
        bundle_factory.add_trials(results, experiment)
        write_tables(Context(experiment, results))
        variables = environment(results, ROOT / "config/experiments.yaml")
        total = 0.0
        for name in FIGURES:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, "-m", "schedlab", "figure", "--figure", name]
            subprocess.run(command, check=True, env=variables, cwd=ROOT)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            total += seconds
            print(f"{name:14}{seconds:7.2f} s")
    return judge({"all_figures_processor_seconds": round(total, 1)}, TARGETS)


if __name__ == "__main__":
    sys.exit(main())
