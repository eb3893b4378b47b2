"""Which decisions the workflow makes, by what ran before, and what waits for them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from schedlab.config import Experiment, TrialKey
from schedlab.paths import (
    cluster_decision_record,
    cluster_record,
    decision_record,
    trial_record,
)
from schedlab.results.records import forbids, is_stopped


@dataclass(frozen=True)
class Decisions:
    """The decisions on the trials and the clusters of an experiment.

    What ran is a fact: neither another decision nor another rule makes it run again. Its decision
    stays in the list of its inputs, so that the list does not change, and is a file that no rule
    makes. (Snakemake's `ancient` would hide other reasons to run.) What did not run follows its
    decision, so that is made again when a trial before it runs again. What ran and runs again
    for another reason has an outdated decision made again by its own stage.

    Attributes
    ----------
    experiment : Experiment
        The validated configuration.
    results : str
        Results folder, as the rules name it.
    planned : collection of tuple
        Cluster, workload and repetition of every trial of the experiment, as wildcards.
    """

    experiment: Experiment
    results: str
    planned: Collection[tuple[str, str, str]]

    def before(self, trial: Mapping[str, str]) -> list[str]:
        """Records of the trials by which the decision on a trial is made."""
        cell = trial["cluster"], trial["workload"]
        keys = self.experiment.decided_by(*cell, int(trial["repetition"]))
        return [self._at(trial_record(key.cluster, key.workload, key.repetition)) for key in keys]

    def of_trial(self, trial: Mapping[str, str]) -> list[str]:
        """Decision that a trial waits for, or that it waited for when it ran."""
        key = trial["cluster"], trial["workload"], trial["repetition"]
        decision = self._at(decision_record(*key))
        waited = _allows(decision) and self._ran(*key)
        return [decision] * (self._due(*key) or waited)

    def due(self) -> str:
        """Regular expression that a path of a trial's decision matches from its cluster on."""
        due = [
            re.escape(decision_record(*key).partition("/")[2])
            for key in self.planned
            if self._due(*key)
        ]
        return f"(?={'|'.join(due)})" if due else "(?!)"

    def before_cluster(self, cluster: str) -> list[str]:
        """Decisions by which it is decided whether a cluster is needed.

        Of a trial that ran without a decision there is none.
        """
        keys = [(key.cluster, key.workload, str(key.repetition)) for key in self._lifted[cluster]]
        found = {key: self._at(decision_record(*key)) for key in keys}
        return [path for key, path in found.items() if self._due(*key) or Path(path).is_file()]

    def of_cluster(self, cluster: str) -> list[str]:
        """Decision that the configuration of a cluster waits for, or waited for when it ran."""
        decision = self._at(cluster_decision_record(cluster))
        waited = _allows(decision) and self._built(cluster)
        return [decision] * (cluster in self.due_clusters or waited)

    @cached_property
    def due_clusters(self) -> tuple[str, ...]:
        """Clusters with a lifted limit that are not there, so that it is decided whether to."""
        return tuple(cluster for cluster in self._lifted if not self._built(cluster))

    @cached_property
    def _lifted(self) -> dict[str, list[TrialKey]]:
        return self.experiment.lifted_clusters()

    def _due(self, cluster: str, workload: str, repetition: str) -> bool:
        key = (cluster, workload, repetition)
        decided = key in self.planned and self.experiment.decided(workload, int(repetition))
        return decided and not self._ran(*key)

    def _ran(self, cluster: str, workload: str, repetition: str) -> bool:
        return _was_made(self._at(trial_record(cluster, workload, repetition)))

    def _built(self, cluster: str) -> bool:
        return _was_made(self._at(cluster_record(cluster, "configured")))

    def _at(self, path: str) -> str:
        return f"{self.results}/{path}"


def _was_made(record: str) -> bool:
    """Whether a stage ran, and was not told that it is not needed."""
    return Path(record).is_file() and not is_stopped(Path(record))


def _allows(decision: str) -> bool:
    return Path(decision).is_file() and not forbids(Path(decision))
