"""Virtual nodes in the report: how true they are, and up to which size that was looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from schedlab.config.variants import VIRTUAL
from schedlab.formatting import number
from schedlab.metrics.certificates import UNDECIDED, Certificate, Error, Fidelity
from schedlab.metrics.fidelity import OF_TRIALS, ORDER, fidelity, is_virtual
from schedlab.metrics.fidelity_parts import OF_A_JOB, TOGETHER, cause, largest
from schedlab.metrics.quantities import QUANTITIES
from schedlab.metrics.statistics import ONE_MODE, TOO_SMALL, Interval
from schedlab.report.sentences import Piece, Sentence
from schedlab.results.imports import Origin
from schedlab.units import part

NAMES = {name: QUANTITIES[name].title for name in OF_TRIALS} | {ORDER: "Order of starts"}


def certificates(
    trials: pd.DataFrame, jobs: pd.DataFrame, sources: Iterable[Origin]
) -> list[Certificate]:
    """Certificates of all virtual series, each judged by the margin of its own experiment."""
    margins = {
        origin.label(variant.name + VIRTUAL): part(virtual.margin)
        for origin in sources
        for variant in origin.experiment.variants()
        if (virtual := origin.experiment.virtual_of(variant))
    }
    return fidelity(trials, jobs, margins)


def section(found: Sequence[Certificate]) -> dict[str, Any]:
    """Rows of the table of errors, and a paragraph on each series.

    Returns
    -------
    dict
        `columns` and `part_columns` (titles), `series` (`name`, `text`), and `rows` with `anchor`,
        `series`, `workload`, `nodes`, `sampled` (for which snapshots the intervals hold; empty for
        all), `values`: `error`, `interval`, `n`, `verdict` and `between_real`, all text, `few`
        (trials for an interval that assumes one mode) and `off`; and `parts`: `size` (s),
        `interval` and `n`, all text, and `largest`. `parts` is empty where none is known.
    """
    columns = _columns(found)
    rows = [
        {
            "anchor": _anchor(one),
            "series": one.series,
            "workload": one.workload,
            "nodes": one.nodes,
            "sampled": one.sampled,
            "values": [_told(name, one.errors[name]) for name in NAMES],
            "parts": _parts(one, columns),
        }
        for certificate in found
        for one in certificate.found
    ]
    told = sentences(found)
    return {
        "columns": list(NAMES.values()),
        "part_columns": [name.capitalize() for name in columns],
        "series": [
            {"name": one.series, "text": sentence.text}
            for one, sentence in zip(found, told, strict=True)
        ],
        "rows": rows,
    }


def of_cells(trials: pd.DataFrame, found: Sequence[Certificate]) -> dict[tuple[str, str], str]:
    """Workload and virtual cluster, by id as in the tables -> what is known of them, in words."""
    known = {one.series: one for one in found}
    rows = trials[is_virtual(trials)].drop_duplicates(["workload", "cluster"])
    rows = rows[rows["scheduler"].isin(list(known))]
    return {
        (str(row["workload"]), str(row["cluster"])): "virtual nodes, "
        + known[row["scheduler"]].about(str(row["workload"]), int(row["nodes"]))
        for row in rows.to_dict("records")
    }


def sentences(found: Sequence[Certificate]) -> list[Sentence]:
    """One sentence for each virtual series, for the first screen."""
    return [_sentence(one) for one in found]


def _sentence(certificate: Certificate) -> Sentence:
    begin = f"The nodes of {certificate.series} are virtual"
    compared = {name: certificate.compared(name) for name in certificate.workloads}
    if not any(compared.values()):
        end = f", and how true they are is open: {_why(certificate)}"
        return Sentence("alarm", [Piece(begin + end)])
    errors = [error for one in certificate.found for error in one.errors.values()]
    judged = [
        (one, name, error)
        for one in certificate.found
        for name, error in one.errors.items()
        if error.size.known
    ]
    counts = ", ".join(
        _plainly(verdict, sum(error.verdict == verdict for error in errors))
        for verdict in sorted({error.verdict for error in errors}, key=_weight)
    )
    one, name, error = max(judged, key=lambda entry: entry[2].excess)
    what = NAMES[name].lower()
    if error.between_real is not None:
        what += f", {_between(error)}"
    # Of the order of starts, two real trials have some error as well.
    beyond = any(other.between_real is not None for _, _, other in judged)
    largest = "the largest beyond what real trials differ by" if beyond else "the largest"
    pieces = [
        Piece(f"{begin}. Of their errors against real nodes{_at(compared)}, {counts}; "),
        Piece(f"{largest} is {_percent(error, signed=name != ORDER)}", _anchor(one)),
        Piece(f" ({what}, {one.workload}, {_nodes(one.nodes)}){_because(one, name, error)}."),
    ]
    pieces += [Piece(text) for text in _not_compared(certificate, compared)]
    if sampled := sorted({one.sampled for one in certificate.found if one.known} - {""}):
        pieces.append(Piece(f" The errors hold for these snapshots: {'; '.join(sampled)}."))
    off = any(_is_off(error) for _, _, error in judged)
    return Sentence("alarm" if off else "estimate", pieces)


def _at(sizes: Mapping[str, Sequence[int]]) -> str:
    """Sizes of workloads, `` at 2, 4 nodes``; by workload where they are not all alike."""
    kept = {name: list(counts) for name, counts in sizes.items() if counts}
    if len(kept) == len(sizes) and all(one == next(iter(kept.values())) for one in kept.values()):
        return f" at {_sizes(next(iter(kept.values())))}"
    return f" ({'; '.join(f'{name} at {_sizes(counts)}' for name, counts in kept.items())})"


def _not_compared(certificate: Certificate, compared: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """Sentences on what has no errors of its own."""
    there = [name for name, sizes in compared.items() if sizes]
    beyond = {name: certificate.beyond(name) for name in there}
    inside = {name: certificate.inside(name) for name in there}
    if any(beyond.values()):
        yield f" What is shown{_at(beyond)} is extrapolated from there."
    if any(inside.values()):
        yield f" What is shown{_at(inside)} lies between compared sizes."
    if never := [name for name in compared if name not in there]:
        yield f" What is shown of {', '.join(never)} was not compared with real nodes."


def _because(one: Fidelity, quantity: str, error: Error) -> str:
    """Where an error of a cell can arise, as the end of a sentence; empty if no part shows it."""
    name = cause(one.parts, quantity, error.seconds)
    if name is None:
        return ""
    size = one.parts[name].estimate or 0.0
    return (
        f", where a job spends {number(abs(size))} s {'more' if size > 0 else 'less'} in {name} on"
        " virtual nodes"
    )


def _columns(found: Sequence[Certificate]) -> tuple[str, ...]:
    """Parts of a job's time that some cell has."""
    together = any(TOGETHER in cell.parts for one in found for cell in one.found)
    return (*OF_A_JOB, TOGETHER) if together else OF_A_JOB


def _parts(one: Fidelity, columns: Sequence[str]) -> list[dict[str, Any]]:
    if all(size.estimate is None for size in one.parts.values()):
        return []
    most = largest(one.parts)
    nothing = Interval(None, None, None, 0, "none")
    return [_of_part(one.parts.get(name, nothing)) | {"largest": name == most} for name in columns]


def _of_part(size: Interval) -> dict[str, Any]:
    sign = "+" if (size.estimate or 0.0) > 0 else ""
    return {
        "size": "" if size.estimate is None else f"{sign}{number(size.estimate)} s",
        "interval": _interval(size),
        "n": f"n={size.n}" if size.n else "",
    }


def _interval(size: Interval, factor: float = 1.0) -> str:
    """Bounds times a factor, in brackets; empty where there are none."""
    if size.low is None or size.high is None:
        return ""
    return f"[{number(factor * size.low)}, {number(factor * size.high)}]"


def _why(certificate: Certificate) -> str:
    """Why no error has an interval."""
    if certificate.searches.issuperset(certificate.workloads):
        return "searches for a rate are not compared with those on real ones."
    if not certificate.found:
        return "no real ones ran the same workload at the same size."
    sizes = _sizes(sorted({one.nodes for one in certificate.found}))
    reasons = sorted({error.verdict for one in certificate.found for error in one.errors.values()})
    return f"real ones ran too, at {sizes}, but no error has an interval ({'; '.join(reasons)})."


def _plainly(verdict: str, count: int) -> str:
    if verdict == TOO_SMALL:
        return f"{count} rest{'s' * (count == 1)} on too few trials"
    return f"{count} {'is' if count == 1 else 'are'} {verdict}"


def _weight(verdict: str) -> int:
    order = ("within", "off", UNDECIDED)
    return next((n for n, word in enumerate(order) if verdict.startswith(word)), len(order))


def _is_off(error: Error) -> bool:
    return error.verdict.startswith("off")


def _anchor(one: Fidelity) -> str:
    return f"fidelity-{one.series}.{one.workload}.{one.nodes}"


def _sizes(counts: Sequence[int]) -> str:
    return f"{', '.join(map(str, counts[:-1]))}{', ' if counts[1:] else ''}{_nodes(counts[-1])}"


def _nodes(count: int) -> str:
    return f"{count} node{'s' * (count != 1)}"


def _percent(error: Error, *, signed: bool = True) -> str:
    estimate = error.size.estimate
    if estimate is None:
        return ""
    return f"{'+' if signed and estimate > 0 else ''}{number(100 * estimate)} %"


def _between(error: Error) -> str:
    return f"{number(100 * (error.between_real or 0.0))} % between real trials"


def _told(name: str, error: Error) -> dict[str, Any]:
    size = error.size
    return {
        "error": _percent(error, signed=name != ORDER),
        "interval": _interval(size, 100.0),
        "n": f"n={size.n}" if size.n else "",
        "few": size.known and ONE_MODE in size.note,
        "verdict": error.verdict,
        "between_real": "" if error.between_real is None else _between(error),
        "off": _is_off(error),
    }
