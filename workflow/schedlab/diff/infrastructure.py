"""Differences between the machines and software of two results, by topic."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from schedlab.diff.facts import TOPICS, Values, record_facts, trial_facts
from schedlab.diff.normalise import flatten, without_run_names
from schedlab.diff.side import Side

PRESENCE = "presence"
FILES = "configuration"
TITLES = {PRESENCE: "Stages", **TOPICS, FILES: "Scheduler configuration"}
"""Every topic, in the order in which they are shown."""

_FLAGS = "Flags"


@dataclass(frozen=True)
class Change:
    """A value that differs.

    Attributes
    ----------
    places : tuple of str
        Records, nodes or clusters with this difference.
    key : str
        Name of the value.
    a, b : str or None
        The two values; None for a side without one.
    """

    places: tuple[str, ...]
    key: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class TextChange:
    """A text that differs.

    Attributes
    ----------
    places : tuple of str
        Records with this difference.
    name : str
        Name of the file.
    lines : tuple of str
        Unified diff, without line ends.
    """

    places: tuple[str, ...]
    name: str
    lines: tuple[str, ...]


@dataclass
class Infrastructure:
    """All differences of the infrastructure.

    Attributes
    ----------
    changes : dict of str to list of Change
        Changes by topic, in the order of `TITLES`. Topics without a change are left out.
    texts : list of TextChange
        Changes of the rendered configuration of the schedulers.
    notes : list of str
        What could not be compared, and why.
    """

    changes: dict[str, list[Change]] = field(default_factory=dict)
    texts: list[TextChange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether there is any difference."""
        return bool(self.changes or self.texts)


Facts = dict[str, dict[str, Values]]


def compare_infrastructure(a: Side, b: Side) -> Infrastructure:
    """Compare the records of two sides, stage by stage.

    Raises
    ------
    SchedlabError
        A side has no records, or records are missing or cannot be read.
    """
    result = Infrastructure()
    first, second = facts(a), facts(b)
    presence = _presence(first["source"].keys(), second["source"].keys())
    absent = tuple(change.key for change in presence)
    experiments, result.notes = _experiments(a, b)
    for topic in TOPICS:
        changes = _changes(first[topic], second[topic], absent, both=topic == "tools")
        if topic == "experiment":
            changes = [*experiments, *changes]
        if changes:
            result.changes[topic] = changes
    if presence:
        result.changes = {PRESENCE: presence, **result.changes}
    result.texts = _texts(configuration(a), configuration(b), absent)
    return result


def _presence(a: Set[str], b: Set[str]) -> list[Change]:
    """Return the stages for which only one side has a record."""

    def word(present: bool) -> str | None:
        return "present" if present else None

    return [Change((), place, word(place in a), word(place in b)) for place in sorted(a ^ b)]


def facts(side: Side) -> Facts:
    """Return the facts of one side: values by topic and place."""
    found: Facts = {topic: {} for topic in TOPICS}
    trials = {name: r for name, r in side.records.items() if name.startswith("trials/")}
    for name, record in side.records.items():
        if name not in trials:
            for topic, place, values in record_facts(name, record):
                found[topic].setdefault(place, {}).update(values)
    for topic, place, values in trial_facts(trials):
        found[topic][place] = values
    return found


def configuration(side: Side) -> dict[tuple[str, str], str]:
    """Return the rendered configuration files of the schedulers, by record and file name."""
    return {
        (name, file): "\n".join(map(without_run_names, text.splitlines()))
        for name, record in side.records.items()
        for file, text in ((record.get("realised") or {}).get("configuration") or {}).items()
    }


def _changes(
    a: dict[str, Values], b: dict[str, Values], absent: tuple[str, ...], *, both: bool = False
) -> list[Change]:
    """Return the differences of all places. Equal differences in several places become one.

    With `both`, places for which one side recorded nothing are left out. For example, a run that
    took a base disk from the cache does not record the tools that built it.
    """
    found: dict[tuple[str, str | None, str | None], list[str]] = defaultdict(list)
    for place in sorted(a.keys() | b.keys()):
        first, second = a.get(place, {}), b.get(place, {})
        if _is_absent(place, absent) or (both and not (first and second)):
            continue
        for change in _differing(first, second):
            found[change].append(place)
    return [Change(tuple(places), *change) for change, places in sorted(found.items(), key=_order)]


def _differing(a: Values, b: Values) -> Iterator[tuple[str, str | None, str | None]]:
    for key in sorted(a.keys() | b.keys()):
        one, other = a.get(key), b.get(key)
        if one == other:
            continue
        if key == _FLAGS and one and other:
            # Flags of a processor are about a hundred words. Only those that differ are shown.
            left, right = set(one.split()), set(other.split())
            if left != right:
                yield key, _words(left - right), _words(right - left)
        else:
            yield key, one, other


def _words(words: set[str]) -> str | None:
    return f"only here: {' '.join(sorted(words))}" if words else None


def _order(
    entry: tuple[tuple[str, str | None, str | None], list[str]],
) -> tuple[list[str], str, str, str]:
    (key, a, b), places = entry
    return places, key, a or "", b or ""


def _is_absent(place: str, absent: tuple[str, ...]) -> bool:
    return any(place == name or place.startswith(f"{name}/") for name in absent)


def _texts(
    a: dict[tuple[str, str], str], b: dict[tuple[str, str], str], absent: tuple[str, ...]
) -> list[TextChange]:
    found: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for name, file in sorted(a.keys() | b.keys()):
        if _is_absent(name, absent):
            continue
        lines = tuple(
            difflib.unified_diff(
                a.get((name, file), "").splitlines(),
                b.get((name, file), "").splitlines(),
                f"A/{file}" if (name, file) in a else "/dev/null",
                f"B/{file}" if (name, file) in b else "/dev/null",
                n=2,
                lineterm="",
            )
        )
        if lines:
            found[file, lines].append(name)
    return [TextChange(tuple(places), file, lines) for (file, lines), places in found.items()]


def _experiments(a: Side, b: Side) -> tuple[list[Change], list[str]]:
    """Return the keys in which two experiment files differ, and why one could not be compared."""
    unknown = dict.fromkeys(side.label for side in (a, b) if side.experiment is None)
    notes = [
        f"{label}: the experiment file that its records were made with was not found; only the"
        " parts of the experiment that are in the records are compared"
        for label in unknown
    ]
    if a.experiment is None or b.experiment is None:
        return [], notes
    first, second = (
        dict(flatten(experiment.model_dump(mode="json", exclude={"libvirt"})))
        for experiment in (a.experiment, b.experiment)
    )
    return [Change((), *change) for change in _differing(first, second)], notes
