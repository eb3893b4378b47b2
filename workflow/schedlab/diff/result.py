"""The whole comparison of two results, also as data for JSON."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schedlab.bundle.open import opened
from schedlab.diff.infrastructure import Infrastructure, compare_infrastructure
from schedlab.diff.outcomes import SAME, Outcomes, compare_outcomes, outcome_facts
from schedlab.diff.side import Side

SCHEMA = "schedlab.diff/3"


@dataclass(frozen=True)
class Difference:
    """Differences between two results.

    Attributes
    ----------
    a, b : str
        Paths that the user gave.
    infrastructure : Infrastructure or None
        Differences of the infrastructure; None if they were not asked for.
    outcomes : Outcomes or None
        Differences of the outcomes; None if they were not asked for.
    """

    a: str
    b: str
    infrastructure: Infrastructure | None
    outcomes: Outcomes | None

    @property
    def differs(self) -> bool:
        """Whether any part that was asked for differs."""
        return any(part.differs for part in (self.infrastructure, self.outcomes) if part)

    @property
    def same(self) -> bool:
        """Whether nothing differs and both results have the same trials."""
        cells = self.outcomes.cells if self.outcomes else []
        return not self.differs and all(o.verdict == SAME for cell in cells for o in cell.outcomes)


def compare(a: Path, b: Path, *, infrastructure: bool = True, outcomes: bool = True) -> Difference:
    """Compare two results folders or bundles.

    Parameters
    ----------
    a, b : pathlib.Path
        Results folders or bundles.
    infrastructure, outcomes : bool
        Parts to compare. A part that is not compared is not read either.

    Raises
    ------
    SchedlabError
        A file that is needed is missing, damaged or of another version.
    """
    with ExitStack() as stack:
        first, second = (Side(stack.enter_context(opened(path))) for path in (a, b))
        return Difference(
            first.label,
            second.label,
            compare_infrastructure(first, second) if infrastructure else None,
            compare_outcomes(first, second) if outcomes else None,
        )


def difference_facts(difference: Difference) -> dict[str, Any]:
    """Return the whole comparison as plain data for JSON; parts not asked for are None."""
    machines, outcomes = difference.infrastructure, difference.outcomes
    return {
        "schema": SCHEMA,
        "a": difference.a,
        "b": difference.b,
        "differs": difference.differs,
        "infrastructure": machines
        and {
            "changes": {
                topic: [asdict(change) for change in changes]
                for topic, changes in machines.changes.items()
            },
            "configuration": [asdict(text) for text in machines.texts],
            "notes": machines.notes,
            "differs": machines.differs,
        },
        "outcomes": outcomes and outcome_facts(outcomes),
    }
