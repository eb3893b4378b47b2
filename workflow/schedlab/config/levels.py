"""Levels of a background: a workload whose background has lists becomes one workload a level.

Lists in `filled` and `pending` cross. What follows sees only workloads with one background each;
faults are told at the places that the user wrote.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from schedlab.config.model import Experiment
from schedlab.units import part
from schedlab.workloads import Machine, Problem
from schedlab.workloads.background import MOST_PENDING, Background, Taken
from schedlab.workloads.registry import LONGEST_NAME

FACTORS = ("filled", "pending")
"""Keys of a background that may have several values, in the order of the parts of a name."""
MOST = 100
"""Most levels of one workload."""


class Level(NamedTuple):
    """Where a workload is written.

    Parameters
    ----------
    position : int
        Its position in the list as written.
    at : mapping of str to int
        Key of its background -> position of this level in that key's list.
    """

    position: int
    at: Mapping[str, int]


class Levels(NamedTuple):
    """An experiment's data without lists of levels.

    Parameters
    ----------
    data : dict
        The data, with one workload a level.
    written : sequence
        Workloads as they were written.
    levels : list of Level
        Of each workload of the data.
    problems : list of Problem
        Faults of the lists, at the places that the user wrote.
    """

    data: dict[str, Any]
    written: Sequence[Any]
    levels: list[Level]
    problems: list[Problem]

    def as_written(self, problem: Problem) -> Problem:
        """Return a fault of the data at the place that the user wrote, with the user's value."""
        key, value = at_original(problem.key, self.levels), problem.value
        if found := re.fullmatch(r"workloads\[(\d+)\]\.name", key):
            # A level's name has more than the user wrote.
            value = self.written[int(found[1])].get("name")
        return Problem(key, value, problem.what, problem.remedy)


_PLACE = re.compile(rf"\bworkloads\[(\d+)\](?:\.background\.({'|'.join(FACTORS)})\b)?")


def at_original(text: str, levels: Sequence[Level]) -> str:
    """Name the places where workloads are written in a text that names places in the data."""

    def original(match: re.Match[str]) -> str:
        index = int(match[1])
        if index >= len(levels):
            return match[0]
        level = levels[index]
        place = f"[{level.at[match[2]]}]" if match[2] in level.at else ""
        key = f".background.{match[2]}" if match[2] else ""
        return f"workloads[{level.position}]{key}{place}"

    return _PLACE.sub(original, text)


def with_levels(data: dict[str, Any]) -> Levels:
    """Return an experiment's data with one workload for each level of a background."""
    written = data.get("workloads")
    if not isinstance(written, list):
        return Levels(data, [], [], [])
    workloads: list[Any] = []
    levels: list[Level] = []
    problems: list[Problem] = []
    for index, entry in enumerate(written):
        lists = _lists(entry)
        if not lists:
            workloads.append(entry)
            levels.append(Level(index, {}))
            continue
        problems += _list_problems(index, entry, lists)
        crossed = itertools.product(*(_distinct(key, values) for key, values in lists.items()))
        for places in itertools.islice(crossed, MOST):
            at = dict(zip(lists, places, strict=True))
            workloads.append(_level(entry, lists, at))
            levels.append(Level(index, at))
    return Levels({**data, "workloads": workloads}, written, levels, problems)


def _lists(entry: Any) -> dict[str, list[Any]]:
    """Lists of levels in a workload's background."""
    background = entry.get("background") if isinstance(entry, dict) else None
    if not isinstance(background, dict):
        return {}
    found = {key: background.get(key) for key in FACTORS}
    return {key: value for key, value in found.items() if isinstance(value, list) and value}


def _tag(key: str, value: Any) -> str:
    """Part of a level's name, such as filled50; empty where the value is none that is allowed."""
    if key == "filled":
        try:
            amount = 100 * part(value if isinstance(value, str) else "", zero=True)
        except ValueError:
            return ""
        return f"{key}{amount:.6g}".replace(".", "-")
    sound = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_PENDING
    return f"{key}{value}" if sound else ""


def _distinct(key: str, values: Sequence[Any]) -> list[int]:
    """Positions of the levels that do not repeat an earlier one."""
    tags = [_tag(key, value) for value in values]
    return [place for place, tag in enumerate(tags) if not tag or tags.index(tag) == place]


def _name(base: str, suffix: str) -> str:
    """Name of a level; cut where it would be too long, which is reported."""
    room = LONGEST_NAME - len(suffix)
    return (base[:room].rstrip("-") if len(base) <= LONGEST_NAME else base) + suffix


def _suffix(lists: Mapping[str, Sequence[Any]], at: Mapping[str, int]) -> str:
    # A value that is refused still needs a name of its own, so that only it is reported.
    tags = [_tag(key, lists[key][place]) or f"{key}-no-{place}" for key, place in at.items()]
    return "".join(f"-{tag}" for tag in tags)


def _level(entry: Mapping[str, Any], lists: Mapping[str, Any], at: Mapping[str, int]) -> Any:
    """Workload of one level."""
    own = {key: lists[key][place] for key, place in at.items()}
    found = {**entry, "background": {**entry["background"], **own}}
    base = entry.get("name")
    if isinstance(base, str) and base:
        found["name"] = _name(base, _suffix(lists, at))
        found["background"]["level_of"] = base
    return found


def _list_problems(
    index: int, entry: Mapping[str, Any], lists: Mapping[str, list[Any]]
) -> Iterator[Problem]:
    """Levels that repeat, too many of them, and a name that leaves no room for theirs."""
    key = f"workloads[{index}]"
    count = 1
    longest = ""
    for factor, values in lists.items():
        distinct = _distinct(factor, values)
        count *= len(distinct)
        longest += "-" + max((_tag(factor, value) for value in values), key=len)
        for place in sorted(set(range(len(values))) - set(distinct)):
            where = f"{key}.background.{factor}[{place}]"
            yield Problem(where, values[place], "written twice", "remove one")
    if count > MOST:
        what = f"{count} levels, more than {MOST}"
        yield Problem(f"{key}.background", lists, what, "write fewer values")
    base = entry.get("name")
    if isinstance(base, str) and len(base) <= LONGEST_NAME < len(base + longest):
        what = f"with a level, as {base}{longest}, it is longer than {LONGEST_NAME} characters"
        remedy = f"use at most {LONGEST_NAME - len(longest)} characters"
        yield Problem(f"{key}.name", base, what, remedy)


def _is_level(name: str, background: Background) -> bool:
    """Whether lists in one, or both, of the factors make a workload of this name."""
    tags = [f"-{_tag(factor, getattr(background, factor))}" for factor in FACTORS]
    base = background.level_of or ""
    return name in {_name(base, suffix) for suffix in (*tags, "".join(tags))}


def level_problems(experiment: Experiment) -> Iterator[Problem]:
    """Yield levels that take the same processors as another one, on a machine of the experiment.

    Such cells would be the same twice, under names that say that they differ. What names itself a
    level without being one, as only a copy beside results may say it, is told too.
    """
    machines = dict.fromkeys(cluster.machine for cluster in experiment.clusters())
    seen: dict[tuple[str, Machine, Taken, int], Background] = {}
    for index, workload in enumerate(experiment.workloads):
        background = workload.background
        if background is None or background.level_of is None:
            continue
        if not _is_level(workload.name, background):
            yield Problem(
                f"workloads[{index}].background.level_of",
                background.level_of,
                "unknown key: only a run writes it, for workloads whose names end with a level",
                "remove it; lists in filled or pending make levels",
            )
            continue
        for machine in machines:
            taken = background.taken(machine)
            level = (workload.base, machine, taken, background.pending)
            other = seen.setdefault(level, background)
            if other is not background:
                yield Problem(
                    f"workloads[{index}].background.filled",
                    background.filled,
                    f"takes as many processors as {other.filled} on nodes of"
                    f" {machine.cpus_per_node}: {taken.cpus} of a node",
                    "leave out one of the two, or give the nodes more processors (node.vcpus)",
                )
