"""The trials of an experiment, in the order in which they run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MOST_TRIALS = 1000
"""Most trials of a cell, and largest number of a repetition."""
BEYOND = 10_000
"""Places in the order of trials that no experiment names."""


@dataclass(frozen=True)
class TrialKey:
    """One run of one workload on one cluster."""

    cluster: str
    workload: str
    repetition: int

    @property
    def id(self) -> str:
        """For example alpha-n1.burst.1."""
        return f"{self.cluster}.{self.workload}.{self.repetition}"


class Cell(NamedTuple):
    """One workload on one cluster.

    Attributes
    ----------
    cluster, workload : str
        Id and name.
    first, most : int
        Trials that run in any case, and most trials.
    """

    cluster: str
    workload: str
    first: int
    most: int


def in_order(seed: int, cells: Sequence[Cell]) -> list[TrialKey]:
    """Every trial, in a seeded random order that interleaves all cells.

    The first trials of all cells, which run in any case, come first. Each further one is a round
    over the cells that may have it, in a random order of its own: so cells that go on still
    interleave, and a trial that is decided by those before it comes after them.
    """
    chance, ordered = random.Random(seed), []
    for number in range(1, max((cell.most for cell in cells), default=0) + 1):
        keys = [
            TrialKey(cell.cluster, cell.workload, repetition)
            for cell in cells
            for repetition in (
                range(1, cell.first + 1)
                if number == 1
                else range(number, number + (cell.first < number <= cell.most))
            )
        ]
        chance.shuffle(keys)
        ordered += keys
    return ordered


def place(seed: int, ordered: Sequence[TrialKey], key: TrialKey) -> int:
    """Place of a trial in the order in which they run, from 0.

    A trial of a repetition beyond the experiment's, as a bisection asks for, comes after all others
    and at a random place too.
    """
    return ordered.index(key) if key in ordered else len(ordered) + beyond(seed, key)


def beyond(seed: int, key: TrialKey) -> int:
    """Place of a trial among those that the experiment does not name, from 0 to `BEYOND` - 1."""
    return random.Random(f"{seed}/{key.id}").randrange(BEYOND)
