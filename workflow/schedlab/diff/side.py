"""One of the two results that are compared: its records, trials and experiment, read when asked."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from schedlab import design
from schedlab.config.load import read_experiment
from schedlab.config.model import Experiment
from schedlab.errors import SchedlabError
from schedlab.outside.names import inside
from schedlab.results.records import load_record
from schedlab.results.store import record_of_trial
from schedlab.tables.build import load_trials

if TYPE_CHECKING:
    from schedlab.bundle.open import Opened

_RECORDS = (
    "toolchain.json",
    "accelerator.json",
    "images/*/*/record.json",
    "clusters/*/*/record.json",
    "trials/*/*/*/record.json",
)


class Side:
    """Results to compare.

    Parameters
    ----------
    opened : Opened
        A results folder, or an unpacked bundle.
    """

    def __init__(self, opened: Opened) -> None:
        self.results = opened.results
        self.label = opened.label
        self._experiments = opened.experiments

    @cached_property
    def records(self) -> dict[str, dict[str, Any]]:
        """Records of machines and trials, by the path of their folder or file.

        Raises
        ------
        SchedlabError
            When there is none, one cannot be read, or one that another builds on is missing.
        """
        found = {
            path.relative_to(self.results): load_record(path)
            for pattern in _RECORDS
            for path in sorted(self.results.glob(pattern))
        }
        if not found:
            raise SchedlabError(
                f"{self.label}: holds no records of stages",
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
                remedy="run snakemake to its end in the checkout of these results; of results that"
                " were copied, copy the whole folder; or compare --outcomes only",
            )
        return {_name(path): record for path, record in found.items()}

    @cached_property
    def trials(self) -> pd.DataFrame:
        """The trials table.

        Raises
        ------
        SchedlabError
            When it is missing, of another version, or does not fit the trials' records.
        """
        table = load_trials(self.results / "tables")
        stale = [
            str(row["trial"])
            for row in table.to_dict("records")
            if (path := self._trial_record(row)).is_file()
            and load_record(path)["lineage"] != row["lineage"]
        ]
        if stale:
            raise SchedlabError(
                f"{self.label}: the tables are not made of the present trials: "
                f"{', '.join(stale[:5])}{', ...' * (len(stale) > 5)} ran again since",
                remedy="make the tables anew: snakemake --forcerun tables",
            )
        return table

    def _trial_record(self, row: dict[Any, Any]) -> Path:
        return inside(self.results, record_of_trial(str(row["trial"])))

    @cached_property
    def experiment(self) -> Experiment | None:
        """The experiment that the records were made with; None where the file is of another.

        A file within the results is of them, as in every bundle. One beside them is what the user
        edits, and need not be: it counts where its machines are those of the records. Which libvirt
        ran them says nothing of that.
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


def _shape(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "libvirt"}


def _name(path: Path) -> str:
    return (path.parent if path.name == "record.json" else path.with_suffix("")).as_posix()


def cluster_of(name: str) -> str | None:
    """Id of the cluster that a record of a cluster or of a trial is of; None of other records."""
    kind, _, rest = name.partition("/")
    return rest.partition("/")[0] if kind in {"clusters", "trials"} else None
