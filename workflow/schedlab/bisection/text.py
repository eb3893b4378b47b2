"""What a search found, as text and as plain data."""

from __future__ import annotations

import textwrap
from typing import Any

from schedlab.bisection.search import UNDECIDED, Found, Step
from schedlab.formatting import number
from schedlab.metrics.quantities import QUANTITIES

SAID = {
    "worse": "worse",
    "not worse": "not worse",
    UNDECIDED: "undecided, taken for not worse",
}


def step_text(step: Step, metric: str) -> str:
    """Return one step as a line: what was compared, the effect, and the verdict."""
    effect, sign = step.comparison.effect, "/" if step.comparison.kind == "ratio" else "-"
    value = "no value"
    if effect.estimate is not None:
        value = number(effect.estimate)
    interval = f" [{number(effect.low)}, {number(effect.high)}]" if effect.known else ""
    pairs = "pairs" if step.comparison.paired else "trials of each"
    return (
        f"{step.variant} {sign} {step.good}: {QUANTITIES[metric].title.lower()} "
        f"{value}{interval}, {effect.n} {pairs}: {SAID[step.verdict]}"
    )


def as_text(found: Found, cells: dict[str, str]) -> str:
    """Return the report of a search.

    Parameters
    ----------
    found : Found
        What it found.
    cells : dict of str to str
        Variant -> its cell, as `schedlab trace` takes it.
    """
    compared = {step.variant: step for step in found.steps}
    lines = [f"first worse: {found.first_bad}, after {found.last_good}"]
    lines += [f"  {place}. {step_text(step, found.metric)}"
              for place, step in enumerate(found.steps, 1)]  # fmt: skip
    if found.first_bad not in compared:
        lines.append(f"  {found.first_bad} was not compared: it was given as bad")
    if found.undecided:
        said = f"the most trials could not tell {', '.join(found.undecided)} from {found.names[0]}"
        lines += textwrap.wrap(f"Not sure: {said}.", 98, initial_indent="  ")
    lines += [
        f"  schedlab trace {cells[name]}/{found.metric}"
        for name in dict.fromkeys([found.names[0], *compared])
    ]
    return "\n".join(lines)


def as_data(found: Found) -> dict[str, Any]:
    """Return the same as plain data."""
    return {
        "metric": found.metric,
        "variants": list(found.names),
        "first_bad": found.first_bad,
        "last_good": found.last_good,
        "undecided": list(found.undecided),
        "steps": [
            {
                "variant": step.variant,
                "good": step.good,
                "verdict": step.verdict,
                "kind": step.comparison.kind,
                "estimate": step.comparison.effect.estimate,
                "low": step.comparison.effect.low,
                "high": step.comparison.effect.high,
                "n": step.comparison.effect.n,
                "p": step.comparison.p,
                "paired": step.comparison.paired,
                "said": step.comparison.verdict,
                "looks": step.looks,
                "trials": step.trials,
            }
            for step in found.steps
        ],
    }
