"""The report's first sentences, made from tables of comparisons (SYNTHETIC values)."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from schedlab.metrics.statistics import MINIMUM
from schedlab.report import results_section, verdicts
from schedlab.report.comparison import COMPARED

COLUMNS = [{"title": "Makespan", "unit": "ratio"}, {"title": "Median launch latency", "unit": "s"}]


def value(verdict: str, effect: float | None = None, *, n: int = 6, **more: Any) -> dict[str, Any]:
    low, high = (effect * 0.9, effect * 1.1) if effect else (None, None)
    shown = {
        "interval": f"[{low:.3g}, {high:.3g}]" if effect else "",
        "n": f"n={n}" if n else "",
        "floor": "",
        "floor_size": 0.0,
        "kind": "ratio",
        "unit": "s",
    }
    numbers = {"estimate": effect, "low": low, "high": high, "size": n}
    return shown | numbers | {"verdict": verdict} | more


def row(place: int, *values: dict[str, Any], **more: Any) -> dict[str, Any]:
    names = {"workload": "burst", "nodes": 1, "first": "fast", "second": "slow"}
    return names | {"anchor": f"difference-{place}", "values": list(values)} | more


def told(*rows: dict[str, Any], floor: bool = True) -> list[str]:
    columns = COLUMNS[: len(rows[0]["values"])]
    found = verdicts.of_comparisons({"columns": columns, "rows": list(rows)}, floor=floor)
    return [sentence.text for sentence in found]


def test_less_is_better_in_all_that_is_compared() -> None:
    """`ahead` means smaller; a quantity whose larger values are better would need another rule."""
    assert set(COMPARED) <= {
        "makespan", "wait_median", "launch_median", "scheduler_cpu_per_job",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "effect", "ahead", "behind"),
    [("smaller", 0.5, "fast", "slow"), ("larger", 2.0, "slow", "fast")],
)
def test_who_is_ahead_by_how_much(verdict: str, effect: float, ahead: str, behind: str) -> None:
    (text,) = told(row(1, value(verdict, effect, floor="1.2 %")))
    assert text.startswith(f"{ahead} is ahead of {behind} in makespan. fast's is ")
    for words in ("times slow's on burst with 1 node", "95 % interval [", "n=6", "floor 1.2 %"):
        assert words in text
    assert f"{effect:g}" in text


def test_a_difference_has_its_unit() -> None:
    launch = value("larger", 0.02, kind="difference")
    texts = told(row(1, value("equal", 1.0), launch))
    assert "fast's is 0.0200 s larger than slow's on burst" in texts[0]
    assert texts[0].startswith("slow is ahead of fast in median launch latency")
    assert texts[1].startswith("fast and slow were equal in every trial in makespan")


def test_rows_that_say_the_same_are_one_sentence_with_a_link_to_each() -> None:
    rows = [row(n, value("smaller", 0.4 + n / 100, n=5 + n), nodes=n) for n in (1, 2, 3)]
    (sentence,) = verdicts.of_comparisons({"columns": COLUMNS[:1], "rows": rows}, floor=True)
    assert "0.410 to 0.430 times slow's on burst with 1, 2 and 3 nodes" in sentence.text
    assert "[0.369, 0.473]" in sentence.text and "n=6 to 8" in sentence.text
    anchors = [piece.anchor for piece in sentence.pieces if piece.anchor]
    assert anchors == ["difference-1", "difference-2", "difference-3"]


def test_no_sentence_claims_more_than_the_verdict() -> None:
    """For any effect, only the verdicts larger and smaller say that a scheduler is ahead."""
    for verdict in ("no difference shown", "the same within 5 %", "n too small", "equal",
                    "not comparable: other host"):  # fmt: skip
        for text in told(row(1, value(verdict, 0.1))):
            assert "ahead" not in text and "times" not in text
    assert "are the same within 5 %" in told(row(1, value("the same within 5 %", 1.0)))[0]
    assert "no difference shown in makespan" in told(row(1, value("no difference shown", 0.9)))[0]
    assert "n too small for a verdict on makespan" in told(row(1, value("n too small", 0.9)))[0]
    (text,) = told(row(1, value("n too small", n=0)))
    assert "no valid trial on one side" in text


def test_pairs_that_lack_the_same_trials_are_one_sentence() -> None:
    few = value("n too small", n=1)
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    rows = [
        row(2 * number + nodes, few, nodes=nodes, first=first, second=second)
        for number, (first, second) in enumerate(pairs)
        for nodes in (1, 2)
    ]
    (sentence,) = verdicts.of_comparisons({"columns": COLUMNS[:1], "rows": rows}, floor=True)
    assert sentence.text == (
        "a with b, a with c and b with c: n too small for a verdict on makespan on burst with 1 and"
        " 2 nodes (n=1)."
    )
    anchors = [piece.anchor for piece in sentence.pieces if piece.anchor]
    assert anchors == ["difference-1", "difference-3", "difference-5"]
    more = row(7, few, nodes=3, first="a", second="d")
    assert [text.split(":")[0] for text in told(*rows, more)] == [
        "a with b, a with c and b with c",
        "a and d",
    ]


def test_an_interval_that_alone_suggests_a_difference_is_explained() -> None:
    below = value("no difference shown", -0.2, kind="difference", low=-0.3, high=-0.1)
    around = value("no difference shown", 1.0)
    texts = told(row(1, around, below), row(2, around, value("no difference shown", 0.01)))
    assert (
        "intervals of the difference within [-0.300, -0.100] s, "
        in told(row(1, around, below), row(2, around, below, nodes=2))[0]
    )
    assert texts[-1].startswith("In 2 of the comparisons without a shown difference, ")
    assert len(told(row(1, around), row(2, around))) == 1


def test_what_was_not_comparable_is_told_by_reason() -> None:
    host, traces = (value(f"not comparable: other {why}", n=0) for why in ("host", "traces"))
    texts = told(row(1, host), row(2, host, nodes=2), row(3, traces, second="lab"), floor=False)
    assert texts == [
        "Not compared (other host): fast with slow in makespan on burst with 1 and 2 nodes.",
        "Not compared (other traces): fast with lab in makespan on burst with 1 node.",
    ]


def test_a_missing_noise_floor_is_told() -> None:
    assert "no noise floor" in told(row(1, value("smaller", 0.5)), floor=False)[-1]


def test_the_variant_against_itself() -> None:
    def noise(*values: dict[str, Any]) -> verdicts.Sentence:
        rows = [{"workload": "burst", "nodes": 1, "anchor": "noise-1", "values": list(values)}]
        again = {"first": "fast", "second": "fast-again", "columns": COLUMNS, "rows": rows}
        (sentence,) = verdicts.of_noise(again)
        return sentence

    calm = noise(value("no difference shown", 1.0, floor="1 %", floor_size=0.01), value("equal"))
    assert calm.kind == "same" and "no difference is claimed in any of 2 comparisons" in calm.text
    assert "noise floor 1 %" in calm.text
    few = noise(value("n too small", 1.0), value("n too small", 1.0))
    assert few.kind == "unknown" and "was not tested" in few.text
    alarm = noise(value("larger", 1.1), value("equal", 1.0))
    assert alarm.kind == "alarm" and "1 of 2 comparisons: makespan on burst" in alarm.text
    assert verdicts.of_noise({"first": "", "second": "", "columns": COLUMNS, "rows": []}) == []


def results(*valid: int) -> dict[str, Any]:
    shown = {"known": True, "estimate": "1.20", "interval": "[1.1, 1.3]", "at_least": False}
    columns = [{"title": "Makespan", "unit": "s"}, {"title": "Median wait", "unit": "s"}]
    rows = [
        {
            "workload": "burst",
            "cluster": f"slurm-n{place}",
            "anchor": f"result-{place}",
            "valid": n,
            "values": [shown | {"n": n}, shown | {"known": False, "n": 0}],
        }
        for place, n in enumerate(valid, 1)
    ]
    return {"columns": columns, "rows": rows}


def test_one_scheduler_has_estimates_and_says_that_nothing_was_compared() -> None:
    first, second = verdicts.of_estimates(results(3, 5), ["slurm"])
    assert first.text == "Nothing was compared: this report is of one scheduler, slurm."
    assert second.text == (
        "burst: slurm-n1 makespan 1.20 s ([1.1, 1.3], n=3); slurm-n2 makespan 1.20 s"
        " ([1.1, 1.3], n=5)."
    )
    (empty,) = verdicts.of_estimates(results(), [])
    assert empty.kind == "missing"


def test_what_is_missing_is_told() -> None:
    found = verdicts.of_missing(results(3, 2, 0), ["a.b.1"], (["lab"], ["own"]), MINIMUM)
    assert [sentence.text for sentence in found] == [
        "1 trial of the experiment is not in the tables.",
        "No valid trial, so no estimate: burst on slurm-n3.",
        "Fewer than 3 valid trials, so no interval: burst on slurm-n2.",
        "Imports left out because they cannot be read: lab.",
        "Variants left out because they could not run: own.",
    ]
    assert {s.pieces[0].anchor or s.pieces[1].anchor for s in found} == {
        "absent", "result-3", "result-2", "left-out", "without-cells",
    }  # fmt: skip
    assert verdicts.of_missing(results(3), [], ([], []), MINIMUM) == []


def test_invalid_trials_are_counted_with_the_checks_that_they_failed() -> None:
    assert verdicts.of_invalid(24, 0, {}) == []
    failed = {"time of others": 1, "samples missing": 6}
    (found,) = verdicts.of_invalid(24, 7, failed)
    assert found.text == (
        "7 of 24 trials are invalid and in no estimate; failed checks: samples missing (6), time of"
        " others (1)."
    )
    assert found.pieces[0].anchor == "invalid"
    (found,) = verdicts.of_invalid(1, 1, {})
    assert found.text == "1 of 1 trials is invalid and in no estimate."


def test_only_failed_checks_of_the_whole_measurement_are_counted() -> None:
    def check(name: str, verdict: str, *withholds: str) -> dict[str, object]:
        return {"name": name, "verdict": verdict, "withholds": list(withholds)}

    trials = pd.DataFrame(
        {
            "valid": [True, False, False],
            "checks": [
                [check("samples", "failed")],
                [check("samples", "failed"), check("samples", "failed"), check("load", "passed")],
                [check("late", "failed", "wait"), check("load", "failed")],
            ],
        }
    )
    assert results_section.failed_checks(trials) == {"samples": 1, "load": 1}
