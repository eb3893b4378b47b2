"""One of two results that are compared. Records, trials and experiment are read when needed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from schedlab import design
from schedlab.config.load import read_experiment
from schedlab.config.model import Experiment
from schedlab.errors import SchedlabError
from schedlab.invocation import command
from schedlab.outside.names import inside
from schedlab.outside.tree import require_plain
from schedlab.paths import (
    ACCELERATOR,
    RECORD,
    TABLES,
    TOOLCHAIN,
    cluster_record,
    image_record,
    imported_folder,
    trial_folder,
    trial_record,
)
from schedlab.results.contradictions import chain_contradiction, record_contradiction
from schedlab.results.records import load_record, was_stopped
from schedlab.results.store import record_of_trial
from schedlab.tables.build import load_trials

if TYPE_CHECKING:
    from schedlab.bundle.open import OpenedResults

_RECORDS = (
    TOOLCHAIN,
    ACCELERATOR,
    image_record("*", "*"),
    cluster_record("*", "*"),
    trial_record("*", "*", "*"),
)


class Side:
    """Results to compare.

    Parameters
    ----------
    opened : OpenedResults
        A results folder, or an unpacked bundle.

    Raises
    ------
    SchedlabError
        In the folder of a trial is something else than files and folders.
    """

    def __init__(self, opened: OpenedResults) -> None:
        self.results = opened.results
        self.label = opened.label
        self._experiments = opened.experiments
        if not opened.is_bundle:
            for below in ("", imported_folder("*") + "/"):
                for folder in sorted(self.results.glob(below + trial_folder("*", "*", "*"))):
                    require_plain(folder, "copy the results again from where the trials ran")

    @cached_property
    def records(self) -> dict[str, dict[str, Any]]:
        """Records of machines and trials, by the path of their folder or file.

        Raises
        ------
        SchedlabError
            There are no records, one cannot be read or cannot be true, or the parent of one is
            missing.
        """
        found = {
            path.relative_to(self.results): load_record(path)
            for pattern in _RECORDS
            for path in sorted(self.results.glob(pattern))
        }
        for path, record in found.items():
            if problem := _contradiction(record, self.results):
                raise SchedlabError(
                    f"record {self.results / path} is damaged: {problem}",
                    remedy="copy the results again from where the trial ran, or run it again",
                )
        if not found:
            raise SchedlabError(
                f"{self.label}: contains no records of stages",
                remedy="name a results folder (`make report` makes one) or a bundle",
            )
        missing: dict[str, str] = {}
        for record in found.values():
            for parent in record["parents"].values():
                # Records of the first version name their parents without the path.
                path = parent.get("path")
                if path is not None and not (self.results / path).is_file():
                    missing.setdefault(path, record["id"])
        if missing:
            named = ", ".join(f"{path} (of {child})" for path, child in sorted(missing.items()))
            raise SchedlabError(
                f"{self.label}: records are missing: {named}",
                remedy="run snakemake to its end in the checkout of these results; if the results"
                " were copied, copy the whole folder; or compare only the outcomes (--outcomes)",
            )
        return {_name(path): record for path, record in found.items()}

    @cached_property
    def trials(self) -> pd.DataFrame:
        """The table of trials.

        Raises
        ------
        SchedlabError
            The table is missing, of another version, or not made from the present records.
        """
        table = load_trials(self.results / TABLES)
        stale = [
            str(row["trial"])
            for row in table.to_dict("records")
            if (path := self._trial_record(row)).is_file()
            and load_record(path)["lineage"] != row["lineage"]
        ]
        if stale:
            raise SchedlabError(
                f"{self.label}: the tables were not made from the present trials: "
                f"{', '.join(stale[:5])}{', ...' * (len(stale) > 5)} ran again since",
                remedy="make the tables again: "
                + command(self.results, self._own_experiments, again=("tables",)),
            )
        return table

    @property
    def _own_experiments(self) -> Path | None:
        """The user's file of the experiment; the one within the results is only a copy."""
        known = self._experiments.is_file() and self._experiments.parent != self.results
        return self._experiments if known else None

    def _trial_record(self, row: dict[Any, Any]) -> Path:
        return inside(self.results, record_of_trial(str(row["trial"])))

    @cached_property
    def experiment(self) -> Experiment | None:
        """The experiment that the records were made with; None if no file of it is known.

        A file within the results belongs to them, as in every bundle. A file beside them may have
        been edited since: it is used only if its machines are those of the records, apart from the
        libvirt that ran them.
        """
        made = {
            cluster_of(name): _shape(record.get("settings") or {})
            for name, record in self.records.items()
            if name.endswith("/provisioned")
        }
        try:
            experiment = read_experiment(self._experiments)
            if self._experiments.parent == self.results:
                return experiment
            fits = all(
                made.get(name) == _shape(design.provision_spec(experiment, name))
                for name in design.machines(experiment)
            )
        except SchedlabError:
            return None
        return experiment if fits else None


def _contradiction(record: dict[str, Any], results: Path) -> str | None:
    if record["stage"] != "trial" or was_stopped(record):
        return None
    return record_contradiction(record) or chain_contradiction(record, results)


def _shape(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "libvirt"}


def _name(path: Path) -> str:
    return (path.parent if path.name == RECORD else path.with_suffix("")).as_posix()


def cluster_of(name: str) -> str | None:
    """Return the id of the cluster of a cluster's or trial's record, or None for other records."""
    kind, _, rest = name.partition("/")
    return rest.partition("/")[0] if kind in {"clusters", "trials"} else None
