"""The search for the first variant that is worse, on made-up trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from schedlab.bisection import search as s
from schedlab.bisection.text import as_data, as_text
from schedlab.bisection.trials import between, series
from schedlab.cli.main import main
from schedlab.config import Experiment, TrialKey
from schedlab.errors import SchedlabError
from schedlab.metrics.comparable import compare_groups
from schedlab.metrics.difference import LEVEL
from schedlab.metrics.quantities import QUANTITIES

NAMES = [f"v{number}" for number in range(8)]


class Lab:
    """Trials whose variants take so many times as long as the first one."""

    def __init__(
        self, factors: Sequence[float], metric: str = "makespan", noise: float = 0.03
    ) -> None:
        self.factors, self.metric, self.noise = list(factors), metric, noise
        self.asked: list[tuple[str, int]] = []

    def measure(self, variants: Sequence[str], repetitions: range) -> pd.DataFrame:
        rows = []
        for repetition in repetitions:
            trace = np.random.default_rng(repetition).uniform(5, 20)
            for variant in variants:
                place = NAMES.index(variant)
                own = np.random.default_rng([repetition, place]).normal(1, self.noise)
                rows.append(
                    {
                        "scheduler": variant,
                        "workload": "poisson",
                        "nodes": 1,
                        "valid": True,
                        "accelerator": "tcg",
                        "host": "h",
                        "trace": f"t{repetition}",
                        "block": "b",
                        "at_least": [],
                        "repetition": repetition,
                        QUANTITIES[self.metric].column: trace * own * self.factors[place],
                    }
                )
                self.asked.append((variant, repetition))
        return pd.DataFrame(rows)


def planted(first: int, factor: float = 1.4) -> list[float]:
    return [factor if place >= first else 1.0 for place in range(len(NAMES))]


@pytest.mark.parametrize("first", range(1, 8))
def test_the_first_bad_of_eight_is_found_in_at_most_three_comparisons(first: int) -> None:
    lab = Lab(planted(first))
    found = s.search(NAMES, "makespan", lab.measure)
    assert (found.last_good, found.first_bad) == (NAMES[first - 1], NAMES[first])
    assert len(found.steps) <= 3 == math.ceil(math.log2(len(NAMES) - 1))
    assert not found.undecided
    # Every comparison has trials of its own, of both sides.
    for number, step in enumerate(found.steps):
        mine = range(1 + number * 16, 1 + number * 16 + step.trials)
        assert [r for name, r in lab.asked if name == step.variant and r in mine]
    good = {r for name, r in lab.asked if name == NAMES[0]}
    assert len(good) == sum(step.trials for step in found.steps)


def test_of_throughput_less_is_worse() -> None:
    lab = Lab(planted(5, 1 / 1.4), "throughput")
    assert s.search(NAMES, "throughput", lab.measure).first_bad == "v5"
    assert s.search(NAMES, "makespan", Lab(planted(5, 1 / 1.4)).measure).first_bad == "v7"


def test_a_difference_within_the_margin_is_not_worse() -> None:
    found = s.search(NAMES, "makespan", Lab(planted(2, 1.02), noise=0.005).measure)
    assert {step.verdict for step in found.steps} == {s.NOT_WORSE}
    assert found.first_bad == "v7"
    assert "v7 was not compared: it was given as bad" in as_text(found, cells())


def test_what_a_look_cannot_tell_is_looked_at_again_and_then_told() -> None:
    found = s.search(NAMES, "makespan", Lab(planted(1, 1.05), noise=0.4).measure)
    first = found.steps[0]
    assert first.verdict == s.UNDECIDED and (first.looks, first.trials) == (3, 16)
    assert first.variant in found.undecided
    text = as_text(found, cells())
    assert "Not sure: the most trials could not tell" in text and "undecided" in text


def cells() -> dict[str, str]:
    return {name: f"{name}-n1.poisson" for name in NAMES}


def test_the_report_names_the_evidence_of_each_step_and_how_to_trace_it() -> None:
    told: list[s.Step] = []
    found = s.search(NAMES, "makespan", Lab(planted(5)).measure, tell=told.append)
    assert tuple(told) == found.steps
    first, *rest = as_text(found, cells()).splitlines()
    assert first == "first worse: v5, after v4"
    for step, line in zip(found.steps, rest, strict=False):
        assert f"{step.variant} / v0: makespan " in line and "pairs: " in line and "[" in line
    assert "  schedlab trace v5-n1.poisson/makespan" in rest
    data = as_data(found)
    assert {step["verdict"] for step in data["steps"]} == {"worse", "not worse"}
    assert all((step["p"] < LEVEL) == (step["verdict"] == "worse") for step in data["steps"])


def test_looking_again_has_a_stricter_level() -> None:
    rows = Lab(planted(1)).measure(("v1", "v0"), range(1, 7))
    pair = [(rows[rows["scheduler"] == "v1"], rows[rows["scheduler"] == "v0"])]
    assert compare_groups(pair, ["makespan"])[0]["makespan"].verdict == "larger"
    strict = compare_groups(pair, ["makespan"], level=LEVEL / len(s.LOOKS))[0]["makespan"]
    # No permutation test of 6 pairs reaches that level; of 8 it does.
    assert strict.verdict == "n too small"
    rows = Lab(planted(1)).measure(("v1", "v0"), range(1, 1 + s.LOOKS[0]))
    pair = [(rows[rows["scheduler"] == "v1"], rows[rows["scheduler"] == "v0"])]
    strict = compare_groups(pair, ["makespan"], level=LEVEL / len(s.LOOKS))[0]["makespan"]
    assert strict.verdict == "larger"


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("v1", "v9", "no variant v9"),
        ("v3", "v1", "does not come after"),
        ("v1", "v1", "as the bad one"),
    ],
)
def test_ends_that_make_no_list_are_refused(good: str, bad: str, said: str) -> None:
    from trial_factory import make_experiment

    experiment = make_experiment(
        schedulers=[{"name": f"v{number}", "scheduler": "slurm"} for number in (1, 2, 3)]
    )
    with pytest.raises(SchedlabError, match=said):
        between(experiment, good, bad)
    assert between(experiment, "v1", "v3") == ["v1", "v2", "v3"]


def test_an_unknown_metric_is_refused_with_those_there_are(tmp_path: Path) -> None:

    from schedlab.cli.main import main

    words = ["bisect", "--good", "a", "--bad", "b", "speed"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1 and "makespan" in done.output


def test_a_search_for_a_rate_cannot_be_bisected(tmp_path: Path) -> None:
    """Its trials have different rates."""

    from schedlab.cli.main import main

    path = tmp_path / "e.yaml"
    path.write_text(
        "schedulers: [{name: a, scheduler: slurm}, {name: b, scheduler: slurm}]\nnodes: [1]\n"
        "node: {vcpus: 1}\nplacement: {oversubscribe: true}\nworkloads:\n"
        "  - {name: knee, kind: saturate, workload: {kind: poisson}, rate: {low: 1, high: 9}}\n"
        "  - {name: rush, kind: burst}\n"
    )
    words = ["bisect", "--good", "a", "--bad", "b", "--experiments", str(path), "makespan"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1 and "--workload with rush" in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cores", "0"], "'--cores': 0 is not in the range"),
        (["--nodes", "0"], "'--nodes': 0 is not in the range"),
        (["--bad", "slurm"], "slurm is named as the good variant and as the bad one"),
        (["--workload", ""], "no workload ''"),
        (["--nodes", "7"], "remedy: use --nodes with one of 1, 2"),
    ],
)
def test_values_that_mean_nothing_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    path = tmp_path / "experiments.yaml"
    path.write_text(
        "nodes: [1, 2]\nplacement: {oversubscribe: true}\n"
        "schedulers: [slurm, {name: b, scheduler: slurm}]\n"
        "workloads: [{kind: burst, name: burst}]\n"
    )
    monkeypatch.setattr("schedlab.bisection.trials.snakemake", lambda *_: pytest.fail("it ran"))
    search = ["bisect", "--experiments", str(path), "--results", str(tmp_path / "r")]
    done = CliRunner().invoke(main, [*search, "--good", "slurm", "--bad", "b", "makespan", *words])
    assert done.exit_code in (1, 2) and said in done.output


def test_a_trial_beyond_the_experiment_has_facts_and_a_place_after_all_others() -> None:
    """The second step of a bisection has the repetitions from 17 on."""
    made = Experiment.model_validate(
        {
            "name": "x",
            "nodes": [1],
            "repetitions": 3,
            "schedulers": ["slurm"],
            "workloads": [{"name": "b", "kind": "burst"}],
        }
    )
    places = [made.trial_facts(TrialKey("slurm-n1", "b", n))["order"] for n in range(1, 49)]
    assert sorted(places[:3]) == [0, 1, 2]
    assert min(places[3:]) >= 3 and len(set(places[3:])) > 40
    assert sorted(places[3:]) != places[3:]


def test_virtual_nodes_are_bisected_under_the_names_of_their_series() -> None:
    virtual = {"carriers": 1, "real": [2]}
    experiment = Experiment.model_validate(
        {
            "nodes": [2, 64],
            "virtual": virtual,
            "schedulers": ["slurm", {"name": "b", "scheduler": "slurm"}],
            "workloads": [{"kind": "burst", "name": "burst"}],
        }
    )
    assert series(experiment, ["slurm", "b"], 64) == ["slurm-virtual", "b-virtual"]
    assert series(experiment, ["slurm", "b"], 2) == ["slurm", "b"]
    with pytest.raises(SchedlabError) as caught:
        series(experiment, ["slurm", "b"], 4)
    assert caught.value.remedy == "use --nodes with one of 2, 64"
