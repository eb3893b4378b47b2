"""Progress over the whole campaign, with the time left."""

from __future__ import annotations

from pathlib import Path

from schedlab.lineage.chain import link
from schedlab.lineage.durations import Durations
from schedlab.paths import CHECKOUT
from schedlab.results.records import file_digest
from schedlab.results.store import Store, record_of_trial
from schedlab.stages.context import Context

FINISHED = " trials finished, "
"""Words by which a log's line with a verdict is known."""


def report_progress(context: Context, trial: str, reasons: list[str]) -> None:
    """Print how many trials are finished and how long the rest will take.

    A trial whose cluster, trace or sources have changed since will run again, so it does not count
    as finished. The estimate adds up the recorded durations of trials like the remaining ones.
    """
    finished, seconds, total = campaign_progress(context)
    # Tables judge more, such as what others took of the host: `schedlab trials`.
    verdict = "invalid: " + "; ".join(r.splitlines()[0] for r in reasons) if reasons else "measured"
    # Which cells end early is not known before.
    about = "at most about" if context.experiment.rounds else "about"
    left = f"{about} {seconds // 60} min {seconds % 60:02d} s" if finished < total else "none"
    print(
        f"{'WARNING: ' * bool(reasons)}{trial}: {verdict}. {finished} of {total}{FINISHED}"
        f"{left} left",
        flush=True,
    )


def campaign_progress(context: Context, sources: Path = CHECKOUT) -> tuple[int, int, int]:
    """Number of finished trials, estimated time for the rest (s), and number of all trials."""
    store, durations = Store(context.results), Durations(context.results)
    keys = context.experiment.trials()
    digests: dict[str, str | None] = {}
    finished, left = 0, 0.0
    for key in keys:
        path = record_of_trial(key.id)
        if _current(store, path, sources, digests):
            finished += 1
        else:
            own = [(context.results / path).as_posix()]
            left += durations.of("trial", key.id, own).seconds or 0.0
    return finished, round(left), len(keys)


def _current(store: Store, path: str, sources: Path, digests: dict[str, str | None]) -> bool:
    """Tell whether a trial's record fits the records it builds on and the sources."""
    found = link(store, path)
    if found.record is None or found.problem or any(parent.problem for parent in found.parents):
        return False
    for name, digest in found.record["inputs"].items():
        if name not in digests:
            file = sources / name
            digests[name] = file_digest(file) if file.is_file() else None
        if digests[name] != digest:
            return False
    return True
