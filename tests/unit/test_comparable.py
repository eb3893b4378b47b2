"""Which trials are compared: traces, machines, pairs, missing values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schedlab.metrics.comparable import compare_groups, matched, why_not

_DRAWN = np.random.default_rng(0).normal(size=(2, 8))
NOISE = np.exp(0.01 * (_DRAWN - _DRAWN.mean(axis=1, keepdims=True)))
"""Two groups of trials of the same geometric mean, 1."""


def trials(values: object, **changes: object) -> pd.DataFrame:
    makespans = np.asarray(values, dtype=float)
    n = len(makespans)
    return pd.DataFrame(
        {
            "workload": "poisson", "nodes": 2, "repetition": range(1, n + 1), "valid": True,
            "trace": [f"trace {i}" for i in range(n)], "accelerator": "kvm", "host": "h",
            "block": "now",
            "makespan_s": makespans, "launch_median_s": makespans / 100,
            "ideal_makespan_s": 1.0,
            "at_least": [[]] * n,
        }
        | changes
    )  # fmt: skip


def makespan(a: pd.DataFrame, b: pd.DataFrame, **options: object) -> object:
    (found,) = compare_groups([(a, b)], ["makespan"], **options)  # type: ignore[arg-type]
    return found["makespan"]


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"host": "another"}, "not comparable: other host"),
        ({"accelerator": "tcg"}, "not comparable: other accelerator"),
        ({"trace": "another"}, "not comparable: other traces"),
        ({"host": None}, "not comparable: host not recorded"),
        ({"trace": None}, "not comparable: trace not recorded"),
        ({"block": "later"}, "not comparable: other block"),
        ({"block": None}, "not comparable: block not recorded"),
    ],
)
def test_what_is_not_alike_is_not_compared(change: dict[str, object], verdict: str) -> None:
    found = makespan(trials(NOISE[0]), trials(2 * NOISE[1], **change))
    assert (found.verdict, found.p, found.effect.estimate) == (verdict, None, None)


def test_a_group_of_two_hosts_is_not_compared() -> None:
    both = trials(NOISE[0], host=["h"] * 7 + ["g"])
    assert why_not(both, trials(NOISE[1])) == "other host"
    # An invalid trial on another machine does not matter, because no estimate contains it.
    both["valid"] = [True] * 7 + [False]
    assert makespan(both, trials(NOISE[1])).verdict == "the same within 5 %"


def test_pairs_are_of_one_trace_and_repetition() -> None:
    a, b = trials([1.0, 2.0, 3.0]), trials([5.0, 6.0, 7.0]).iloc[[2, 0, 1]]
    b.loc[b["repetition"] == 2, "trace"] = "changed since"
    first, second, paired = matched(a, b)
    assert paired
    assert (first["makespan_s"].tolist(), second["makespan_s"].tolist()) == ([1.0, 3.0], [5.0, 7.0])


def test_one_trace_makes_no_pairs() -> None:
    a, b = trials(NOISE[0], trace="t"), trials(NOISE[1, :5], trace="t")
    assert matched(a, b)[2] is False
    found = makespan(a, b)
    assert (found.paired, found.effect.n, found.effect.method) == (
        False,
        5,
        "Welch's t on logarithms",
    )


def test_a_missing_partner_takes_its_pair_away() -> None:
    a, b = trials(NOISE[0]), trials(2 * NOISE[1])
    b.loc[0, "makespan_s"] = np.nan
    found = makespan(a, b)
    assert (found.effect.n, found.paired, found.verdict) == (7, True, "smaller")
    assert found.effect.estimate == pytest.approx(
        float(np.exp(np.log(a["makespan_s"][1:] / b["makespan_s"][1:]).mean()))
    )


def test_five_pairs_are_too_few_and_say_the_ratio_still() -> None:
    found = makespan(trials(NOISE[0, :5]), trials(3 * NOISE[1, :5]))
    assert found.verdict == "n too small" and found.p is None
    assert found.effect.high < 0.4
    two = makespan(trials([1.0, 1.0]), trials([2.0, 2.0]))
    assert (two.verdict, two.effect.estimate, two.effect.known) == ("n too small", 0.5, False)
    assert makespan(trials([]), trials([1.0])).verdict == "n too small"


def test_each_quantity_on_its_scale() -> None:
    a, b = trials(2 * NOISE[0]), trials(NOISE[1])
    (found,) = compare_groups([(a, b)], ["makespan", "launch_median", "ideal_makespan"])
    ratio, apart = found["makespan"], found["launch_median"]
    assert (ratio.kind, ratio.verdict) == ("ratio", "larger")
    assert ratio.effect.low < 2 < ratio.effect.high
    assert (apart.kind, apart.verdict) == ("difference", "larger")
    assert apart.effect.estimate == pytest.approx(0.01, rel=0.05)
    assert (found["ideal_makespan"].verdict, found["ideal_makespan"].p) == ("equal", None)


def test_a_value_without_logarithm_is_named() -> None:
    a = trials([1.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    assert makespan(a, trials(NOISE[1])).verdict == "not comparable: a value is not positive"


def test_the_noise_floor_is_that_of_the_cell() -> None:
    a, b = trials(1.1 * NOISE[0]), trials(NOISE[1])
    assert makespan(a, b).verdict == "larger"
    floor = {("makespan", "poisson", 2): 0.2}
    assert makespan(a, b, noise_floor=floor).verdict == "no difference shown"
    assert makespan(a, b, noise_floor={("makespan", "poisson", 1): 0.2}).verdict == "larger"
    assert makespan(a, b, margin=0.2).verdict == "larger"


OPEN = [["makespan_s"], *[[]] * 7]
"""The first of eight trials had jobs that came to no end."""


@pytest.mark.parametrize(
    ("factor", "first", "second", "verdict"),
    [
        (2.0, OPEN, [[]] * 8, "larger"),
        (0.5, [[]] * 8, OPEN, "smaller"),
        # The true values of the side with bounds could turn each of these round.
        (0.5, OPEN, [[]] * 8, "not comparable: jobs that had not ended"),
        (2.0, [[]] * 8, OPEN, "not comparable: jobs that had not ended"),
        (2.0, OPEN, OPEN, "not comparable: jobs that had not ended"),
        (1.0, OPEN, [[]] * 8, "not comparable: jobs that had not ended"),
    ],
)
def test_a_lower_bound_claims_only_what_the_true_value_would_strengthen(
    factor: float, first: list[list[str]], second: list[list[str]], verdict: str
) -> None:
    a, b = trials(factor * NOISE[0], at_least=first), trials(NOISE[1], at_least=second)
    found = makespan(a, b)
    assert found.verdict == verdict
    stands = verdict in ("larger", "smaller")
    assert (found.p is not None, "had not ended" in found.effect.note) == (stands, stands)
    # Another quantity of the same trials has no bounds.
    (other,) = compare_groups([(a, b)], ["launch_median"])
    assert "not comparable" not in other["launch_median"].verdict


def in_blocks(values: object, blocks: str, **changes: object) -> pd.DataFrame:
    """Trials with one letter each for their block."""
    return trials(values, block=list(blocks), **changes)


def test_only_trials_of_shared_blocks_are_compared() -> None:
    a, b = in_blocks(range(1, 9), "aaaaaabb"), in_blocks(range(1, 9), "aaaaaacc")
    first, second, paired = matched(a, b)
    assert paired and list(first["repetition"]) == list(second["repetition"]) == [1, 2, 3, 4, 5, 6]


def test_each_block_is_met_by_both_sides_as_often() -> None:
    # All ran one trace. One block alone is taken as it is.
    one = {"trace": "one"}
    a, b = in_blocks(range(1, 9), "aaaaaabb", **one), in_blocks(range(1, 9), "aaabbbbb", **one)
    first, second, paired = matched(a, b)
    assert not paired
    assert list(first["repetition"]) == [1, 2, 3, 7, 8]
    assert list(second["repetition"]) == [1, 2, 3, 4, 5]
    a, b = in_blocks(range(1, 9), "aaaaaaab", **one), in_blocks(range(1, 9), "aaaaaccc", **one)
    assert [len(side) for side in matched(a, b)[:2]] == [7, 5]


def test_pairs_over_two_blocks_are_as_many_one_way_as_the_other() -> None:
    # A campaign that was interrupted: some pairs have a side on each side of the interruption.
    a, b = in_blocks(range(1, 9), "aaaabbbb"), in_blocks(range(1, 9), "abbabaab")
    first, second, _ = matched(a, b)
    assert list(first["repetition"]) == list(second["repetition"])
    ways = list(zip(first["block"], second["block"], strict=True))
    assert ways.count(("a", "b")) == ways.count(("b", "a")) == 2
    assert len(first) == 8
    first, second, _ = matched(a, in_blocks(range(1, 9), "abbabbbb"))
    assert list(first["repetition"]) == [1, 4, 5, 6, 7, 8]


def test_a_slow_block_makes_no_difference_of_two_equal_sides() -> None:
    blocks = "aaaaaabb", "aabbbbbb"
    slow = [np.array([2.0 if letter == "b" else 1.0 for letter in letters]) for letters in blocks]
    for traces in ({}, {"trace": "one"}):
        a, b = (
            in_blocks(noise * factor, letters, **traces)
            for noise, factor, letters in zip(NOISE, slow, blocks, strict=True)
        )
        assert makespan(a, b).effect.estimate == pytest.approx(1.0, abs=0.02)
        mixed = compare_groups([(a, b)], ["makespan"], across_blocks=True)[0]["makespan"]
        assert mixed.effect.estimate < 0.8
