"""Halves a list of variants until the first bad one is found.

Each step compares the variant in the middle with the good one at the beginning of the list, by new
trials of both that run side by side, so that no drift of the host between steps is taken for a
difference. It looks at 8 trials of each, and where these do not decide, at more, up to the most.
Each look is judged at the level of a comparison divided by the number of looks (Bonferroni's
correction), so that looking again does not raise the rate of false verdicts of a step above 5 %.
The list is assumed to be good up to some variant and bad from there on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from schedlab.metrics.comparable import Comparison, compare_groups
from schedlab.metrics.difference import LARGER, LEVEL, MARGIN, SMALLER, same_within
from schedlab.metrics.quantities import QUANTITIES

HIGHER_IS_BETTER = frozenset({"throughput", "utilisation", "submission_rate"})
"""Quantities of which more is better; of all others less is."""
LOOKS = (8, 12, 16)
"""Trials of each side at which a step looks. With 8 pairs each look can reach its level."""
WORSE: Verdict = "worse"
NOT_WORSE: Verdict = "not worse"
UNDECIDED: Verdict = "undecided"
Verdict = Literal["worse", "not worse", "undecided"]
Measure = Callable[[Sequence[str], range], pd.DataFrame]
"""Runs these repetitions of each of some variants; returns their rows of the trials table."""


@dataclass(frozen=True)
class Step:
    """One comparison of the search.

    Attributes
    ----------
    variant, good : str
        What was compared with what.
    comparison : Comparison
        The variant against the good one, at the last look.
    looks : int
        Looks until it was decided.
    trials : int
        Trials of each side at the last look.
    verdict : {"worse", "not worse", "undecided"}
        ``undecided``: the most trials could not tell; the search goes on as for one not worse.
    """

    variant: str
    good: str
    comparison: Comparison
    looks: int
    trials: int
    verdict: Verdict


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes
    ----------
    metric : str
        Key of `schedlab.metrics.quantities.QUANTITIES`.
    names : tuple of str
        The list, from the good to the bad variant.
    steps : tuple of Step
        In their order.
    first_bad, last_good : str
        Neighbours in the list.
    """

    metric: str
    names: tuple[str, ...]
    steps: tuple[Step, ...]
    first_bad: str
    last_good: str

    @property
    def undecided(self) -> tuple[str, ...]:
        """Variants that the most trials could not tell from the good one."""
        return tuple(step.variant for step in self.steps if step.verdict == UNDECIDED)


def search(
    names: Sequence[str],
    metric: str,
    measure: Measure,
    *,
    looks: Sequence[int] = LOOKS,
    margin: float = MARGIN,
    tell: Callable[[Step], None] = lambda _: None,
) -> Found:
    """Find the first bad variant.

    Parameters
    ----------
    names : sequence of str
        The list: its first variant is good, its last one bad, by what the caller knows.
    metric : str
        Key of `schedlab.metrics.quantities.QUANTITIES`.
    measure : callable
        Runs trials and returns them. Those that ran before need not run again: each step has
        repetitions of its own, the same ones whenever the search is made again.
    looks : sequence of int
        Trials of each side at which a step looks.
    margin : float
        Relative difference that does not count as worse: 0.05 for 5 %.
    tell : callable
        Called with each step when it is decided.

    Returns
    -------
    Found
        After at most ceil(log2(n - 1)) steps for n variants.
    """
    good, bad = 0, len(names) - 1
    steps: list[Step] = []
    while bad - good > 1:
        middle = (good + bad) // 2
        first = 1 + len(steps) * max(looks)
        step = _step(names[middle], names[0], metric, measure, (first, looks), margin)
        steps.append(step)
        tell(step)
        if step.verdict == WORSE:
            bad = middle
        else:
            good = middle
    return Found(metric, tuple(names), tuple(steps), names[bad], names[good])


def _step(
    variant: str,
    good: str,
    metric: str,
    measure: Measure,
    repetitions: tuple[int, Sequence[int]],
    margin: float,
) -> Step:
    first, looks = repetitions
    step: Step | None = None
    for number, trials in enumerate(looks, 1):
        rows = measure((variant, good), range(first, first + trials))
        sides = [rows[rows["scheduler"] == name] for name in (variant, good)]
        floors = {
            (metric, str(row["workload"]), int(row["nodes"])): margin
            for row in sides[0].to_dict("records")
        }
        (found,) = compare_groups(
            [(sides[0], sides[1])],
            [metric],
            noise_floor=floors,
            margin=margin,
            level=LEVEL / len(looks),
        )
        comparison = found[metric]
        verdict = _verdict(metric, comparison.verdict, margin)
        step = Step(variant, good, comparison, number, trials, verdict)
        if verdict != UNDECIDED:
            break
    assert step is not None
    return step


def _verdict(metric: str, verdict: str, margin: float) -> Verdict:
    bad, better = (SMALLER, LARGER) if metric in HIGHER_IS_BETTER else (LARGER, SMALLER)
    if verdict == bad:
        return WORSE
    return NOT_WORSE if verdict in {better, same_within(margin), "equal"} else UNDECIDED


def metrics() -> list[str]:
    """Quantities that can be bisected over."""
    return [name for name, quantity in QUANTITIES.items() if quantity.measured]
