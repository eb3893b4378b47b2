"""Checks of a trial, each with a value, its limit and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from schedlab.tables.schemas import FAILED, PASSED, UNKNOWN


@dataclass(frozen=True)
class Check:
    """One check of a trial.

    Parameters
    ----------
    name : str
        What was checked.
    value, limit : float or None
        Value found, and largest allowed value; None if it was not measured.
    unit : str
        Unit of both; `1` for counts and ratios.
    verdict : str
        `PASSED`, `FAILED` or `UNKNOWN`.
    reason : str
        What is wrong, for people; empty unless it failed.
    withholds : tuple of str
        Columns of the trials table that are left out if the check fails; empty for a check of the
        whole trial.
    """

    name: str
    value: float | None
    limit: float | None
    unit: str
    verdict: str
    reason: str = ""
    withholds: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """As the trials table has it."""
        return asdict(self) | {"withholds": list(self.withholds)}


def at_most(
    name: str,
    value: float | None,
    limit: float,
    unit: str,
    reason: str,
    withholds: Sequence[str] = (),
) -> Check:
    """Check that a value is not above its limit; an unknown value neither passes nor fails."""
    if value is None:
        return Check(name, None, limit, unit, UNKNOWN, "", tuple(withholds))
    failed = value > limit
    verdict = FAILED if failed else PASSED
    return Check(name, value, limit, unit, verdict, reason if failed else "", tuple(withholds))


def counted(name: str, found: Sequence[str] | None) -> Check:
    """Check that no fault was found; None means that it is unknown."""
    number = None if found is None else float(len(found))
    return at_most(name, number, 0.0, "1", "; ".join(found or ()))
