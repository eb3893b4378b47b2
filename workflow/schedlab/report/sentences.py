"""Sentences of the report, and the words in which they tell comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schedlab.formatting import number
from schedlab.metrics.statistics import CONFIDENCE

Row = Mapping[str, Any]

PERCENT = f"{100 * CONFIDENCE:g} %"


class Piece(NamedTuple):
    """Part of a sentence, and the element of the page to which it links; empty for plain text."""

    text: str
    anchor: str = ""


@dataclass
class Sentence:
    """One sentence of the first screen.

    Parameters
    ----------
    kind : {"ahead", "same", "unknown", "estimate", "missing", "alarm"}
        Its subject: a claimed difference; two sides that are the same; a question that the trials
        do not decide; an estimate of one side; missing results; a reason to doubt the others.
    pieces : list of Piece
        Its text in parts.
    """

    kind: str
    pieces: list[Piece] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The whole sentence as plain text."""
        return "".join(piece.text for piece in self.pieces)


class Claim(NamedTuple):
    """One comparison with the row of the table that it is in."""

    row: Row
    title: str
    value: Row

    @property
    def pair(self) -> tuple[str, str]:
        """Names of both sides."""
        return str(self.row["first"]), str(self.row["second"])

    @property
    def verdict(self) -> str:
        """Verdict in the words of `schedlab.metrics`."""
        return str(self.value["verdict"])


def grouped(claims: Sequence[Any], key: Callable[[Any], Any]) -> list[list[Any]]:
    """Claims, or groups of them, with the same key together, in the order of their first key."""
    found: dict[Any, list[Any]] = {}
    for claim in claims:
        found.setdefault(key(claim), []).append(claim)
    return list(found.values())


def named(claims: Sequence[Claim]) -> list[Piece]:
    """Quantities with their places; places that several quantities share are named once."""
    by_title = grouped(claims, lambda c: c.title)
    places: dict[tuple[str, ...], list[list[Claim]]] = {}
    for group in by_title:
        places.setdefault(tuple(str(c.row["anchor"]) for c in group), []).append(group)
    pieces: list[Piece] = []
    for groups in places.values():
        titles = _and([group[0].title for group in groups])
        pieces += [Piece("; " if pieces else ""), Piece(f"{titles} on "), *places_of(groups[0])]
    return pieces


def place_of(claim: Claim) -> Piece:
    """Workload and node count of a claim, which link to its row."""
    nodes = claim.row["nodes"]
    text = f"{claim.row['workload']} with {nodes} node{'' if nodes == 1 else 's'}"
    return Piece(text, str(claim.row["anchor"]))


def places_of(claims: Sequence[Claim]) -> list[Piece]:
    """Workloads, each with its node counts; every node count links to its row."""
    pieces: list[Piece] = []
    for group in grouped(claims, lambda c: c.row["workload"]):
        pieces.append(Piece(", " if pieces else ""))
        if len(group) == 1:
            pieces.append(place_of(group[0]))
            continue
        nodes = [Piece(str(c.row["nodes"]), str(c.row["anchor"])) for c in group]
        pieces += [Piece(f"{group[0].row['workload']} with "), *joined(nodes), Piece(" nodes")]
    return pieces


def effect(claim: Claim) -> str:
    """The effect as in the table: the first side divided by the second, or minus the second."""
    return _worded(claim, number(abs(claim.value["estimate"])))


def _worded(claim: Claim, size: str) -> str:
    second = claim.pair[1]
    if claim.value["kind"] == "ratio":
        return f"{size} times {second}'s"
    return f"{size} {claim.value['unit']} {claim.verdict} than {second}'s"


def effects(claims: Sequence[Claim]) -> str:
    """Range of the effects of claims with the same sides and verdict."""
    sizes = sorted(abs(claim.value["estimate"]) for claim in claims)
    return _worded(claims[0], _range([number(size) for size in sizes]))


def support(claim: Claim) -> str:
    """Interval, n and noise floor of one comparison."""
    value = claim.value
    told = [f"{PERCENT} interval {value['interval']}"] if value["interval"] else []
    told += [str(value["n"])] if value["n"] else []
    told += [f"noise floor {value['floor']}"] if value["floor"] else []
    return ", ".join(told)


def supports(claims: Sequence[Claim]) -> str:
    """Ranges of the intervals, n and noise floors of several comparisons."""
    if len(claims) == 1:
        return support(claims[0]) or "no valid trial on one side"
    told = []
    for kind, unit in sorted({(c.value["kind"], c.value["unit"]) for c in claims}, reverse=True):
        bounds = [
            (c.value["low"], c.value["high"])
            for c in claims
            if (c.value["kind"], c.value["unit"]) == (kind, unit) and c.value["interval"]
        ]
        if bounds:
            low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
            of, ending = ("ratio", "") if kind == "ratio" else ("difference", f" {unit}")
            told.append(f"all {PERCENT} intervals of the {of} within"
                        f" [{number(low)}, {number(high)}]{ending}")  # fmt: skip
    sizes = sorted({int(claim.value["size"]) for claim in claims})
    told.append(f"n={_range([str(size) for size in sizes])}")
    told += [f"noise floor {floors(claims)}"] if floors(claims) else []
    return ", ".join(told)


def floors(claims: Iterable[Claim]) -> str:
    """Range of the noise floors; floors that are words are named."""
    known = {(c.value["floor_size"], str(c.value["floor"])) for c in claims if c.value["floor"]}
    return _range([text for _, text in sorted(known)])


def any_of(claims: Sequence[Claim]) -> str:
    """Comparisons of which none showed something."""
    return f"any of {len(claims)} comparisons" if len(claims) > 1 else "the one comparison"


def _range(texts: Sequence[str]) -> str:
    """Least and greatest of some sorted texts."""
    if not texts:
        return ""
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def joined(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces with commas, and an *and* before the last."""
    found: list[Piece] = []
    for place, piece in enumerate(pieces):
        if place:
            found.append(Piece(" and " if place == len(pieces) - 1 else ", "))
        found.append(piece)
    return found
