"""Verdicts and refusals of the benchmarks; nothing is measured here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.mark.parametrize(
    ("value", "bound", "most", "status"),
    [(49.9, 50, False, 1), (50, 50, False, 0), (1.15, 1.15, True, 0), (1.16, 1.15, True, 1)],
)
def test_a_missed_target_is_said_and_makes_the_status(
    value: float, bound: float, most: bool, status: int, monkeypatch, capsys
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from targets import Target, judge

    assert judge({"ratio": value}, {"ratio": Target(bound, most=most)}) == status
    word = "most" if most else "least"
    verdict = "MISSED" if status else "met"
    assert capsys.readouterr().out == f"ratio: {value:g}, target at {word} {bound:g}: {verdict}\n"


def test_without_images_the_remedy_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "restore.py"), "--images", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "make image CONFIG=" in done.stderr


def test_an_unknown_cluster_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "restore.py"), "--cluster", "slurm-n9"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "slurm-n9" in done.stderr


@pytest.mark.parametrize("name", ["restore", "overhead"])
def test_usage(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{name}.py"), "--help"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "--experiments" in done.stdout


def test_calibration_sees_a_method_that_is_wrong(monkeypatch) -> None:
    """Few tables tell t-tests alone from what the report does, under noise with two modes."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import calibration
    import numpy as np

    from schedlab.metrics import difference

    def false(n: int) -> float:
        rng = np.random.default_rng(1)
        noise = calibration.NOISES["two modes"]
        values = calibration.campaigns(rng, noise, 60, n, paired=False)
        return calibration.count(values, 1.0, paired=False).false

    assert false(3) == 0.0 and false(5) <= 0.1
    monkeypatch.setattr(difference, "testable", lambda *_args, **_kwargs: True)
    monkeypatch.setattr(
        difference.permutation,
        "adjusted",
        lambda cells, wanted, **_kwargs: [np.zeros(len(one)) for one in wanted],
    )
    assert false(3) > 0.15
