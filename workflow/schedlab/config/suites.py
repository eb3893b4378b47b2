"""The suites of Debian whose packages guests can have, and why they cannot have others'."""

from __future__ import annotations

from schedlab.printing import did_you_mean
from schedlab.workloads import Problem

SUPPORTED = ("bullseye", "bookworm", "trixie", "forky", "sid")
"""From the first with a Python that the programs in the guests run on (3.9) to the one without an
end. Which scheduler a suite has packages of is the schedulers' to say."""
_TOO_OLD = (
    "buzz", "rex", "bo", "hamm", "slink", "potato", "woody", "sarge", "etch", "lenny", "squeeze",
    "wheezy", "jessie", "stretch", "buster",
)  # fmt: skip
_ALIASES = ("oldoldstable", "oldstable", "stable", "testing", "unstable")
"""Names that are of another release some day, so that the same file makes another image."""


def suite_problem(key: str, suite: str) -> Problem | None:
    """Return why guests cannot have the packages of a suite, or None.

    Nothing is asked of the network: whether a mirror still has a suite shows when it is used.

    Parameters
    ----------
    key : str
        Key of the suite in the experiment.
    suite : str
        The suite.
    """
    if suite in SUPPORTED:
        return None
    remedy = f"use one of {', '.join(SUPPORTED)}"
    if suite in _TOO_OLD:
        what = f"older than {SUPPORTED[0]}, the first whose Python runs the programs in the guests"
    elif suite in _ALIASES:
        what = "the name of another release some day, so no experiment can be repeated by it"
    elif suite == "experimental":
        what = "no release: it has only packages to put over those of sid"
    else:
        what, remedy = "no suite of Debian that is known here", did_you_mean(suite, SUPPORTED)
    return Problem(key, suite, what, remedy)
