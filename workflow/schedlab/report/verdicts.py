"""The report's first sentences, which put the verdicts of its tables into words.

Every sentence is made from rows of `schedlab.report.comparison` or of the results table, and links
to them. Rows with the same verdict become one sentence, so that there are few sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from schedlab.metrics.comparable import NOT_COMPARABLE
from schedlab.metrics.difference import EQUAL, LARGER, NO_DIFFERENCE, SMALLER
from schedlab.metrics.statistics import TOO_SMALL
from schedlab.report.sentences import (
    Claim,
    Piece,
    Row,
    Sentence,
    any_of,
    effect,
    effects,
    floors,
    grouped,
    joined,
    named,
    place_of,
    places_of,
    support,
    supports,
)

IN_FULL = 2
"""Up to this number of rows, a sentence has all their numbers; for more rows it has ranges."""


def of_comparisons(differences: Row, *, floor: bool) -> list[Sentence]:
    """Sentences on the table of differences between schedulers.

    Parameters
    ----------
    differences : mapping
        What `schedlab.report.comparison.differences` returned.
    floor : bool
        Whether a variant was compared with itself, so that a noise floor was applied.
    """
    claims = [
        Claim(row, str(column["title"]).lower(), value)
        for row in differences["rows"]
        for column, value in zip(differences["columns"], row["values"], strict=True)
    ]
    found = [*_ahead(claims), *_same(claims), *_undecided(claims), *_not_compared(claims)]
    decided = any(not claim.verdict.startswith(NOT_COMPARABLE) for claim in claims)
    if decided and not floor:
        text = "No variant ran a second time under another label, so no noise floor was applied."
        found.append(Sentence("unknown", [Piece(text)]))
    return found


def of_noise(again: Row) -> list[Sentence]:
    """Sentences on the variant that ran a second time, for which no difference should be claimed.

    Parameters
    ----------
    again : mapping
        What `schedlab.report.comparison.again` returned.
    """
    claims = [
        Claim({**again, **row}, str(column["title"]).lower(), value)
        for row in again["rows"]
        for column, value in zip(again["columns"], row["values"], strict=True)
    ]
    if not claims:
        return []
    first, second = again["first"], again["second"]
    false = [claim for claim in claims if claim.verdict in (LARGER, SMALLER)]
    told = [c for c in claims if c.verdict != TOO_SMALL and not _is_not_comparable(c)]
    if false:
        start = (
            f"{first} and {second} are the same by construction, and yet a difference shows in"
            f" {len(false)} of {len(told)} comparisons: "
        )
        end = ". More than the scheduler differs between trials: doubt small differences."
        return [Sentence("alarm", [Piece(start), *named(false), Piece(end)])]
    if not told:
        text = f"{first} ran a second time as {second}, but its noise floor was not tested: "
        return [Sentence("unknown", [Piece(text), *named(claims), Piece(".")])]
    limits = f"; noise floor {floors(told)}" if floors(told) else ""
    few = sum(claim.verdict == TOO_SMALL for claim in claims)
    limits += f"; n too small in {few} more" if few else ""
    pieces = [
        Piece(f"{first} against itself (as {second}): no difference is claimed in "),
        Piece(any_of(told), str(told[0].row["anchor"])),
        Piece(f"{limits}."),
    ]
    return [Sentence("same", pieces)]


def of_estimates(results: Row, schedulers: Sequence[str]) -> list[Sentence]:
    """Sentences of a report that compares nothing: makespan and median wait of each workload.

    Parameters
    ----------
    results : mapping
        What `schedlab.report.results_section.main_table` returned, its rows with an `anchor`.
    schedulers : sequence of str
        Names of the series in the tables.
    """
    if not results["rows"]:
        return [Sentence("missing", [Piece("No trial is in the tables: nothing can be said.")])]
    why = f"this report is of one scheduler, {schedulers[0]}" if len(schedulers) == 1 else (
        "no two schedulers ran the same workload on the same number of nodes"
    )  # fmt: skip
    found = [Sentence("unknown", [Piece(f"Nothing was compared: {why}.")])]
    columns = [str(column["title"]) for column in results["columns"]]
    units = [str(column["unit"]) for column in results["columns"]]
    for workload, rows in groupby(results["rows"], key=lambda row: str(row["workload"])):
        pieces = [Piece(f"{workload}: ")]
        for place, row in enumerate(rows):
            values = dict(zip(columns, zip(row["values"], units, strict=True), strict=True))
            told = [
                f"{title.lower()} {_estimate(*values[title])}"
                for title in ("Makespan", "Median wait")
                if values[title][0]["known"]
            ]
            pieces += [Piece("; " if place else ""), Piece(str(row["cluster"]), row["anchor"])]
            pieces.append(Piece(f" {', '.join(told) or 'no estimate'}"))
        found.append(Sentence("estimate", [*pieces, Piece(".")]))
    return found


def _estimate(value: Row, unit: str) -> str:
    least = "at least " if value["at_least"] else ""
    interval = f"{value['interval']}, " if value["interval"] else "no interval, "
    return f"{least}{value['estimate']} {unit} ({interval}n={value['n']})"


def of_invalid(trials: int, invalid: int, failed: Mapping[str, int]) -> list[Sentence]:
    """Say how many trials are in no estimate, and by which checks, the most frequent first.

    Parameters
    ----------
    trials, invalid : int
        Number of all trials, and of the invalid ones.
    failed : mapping of str to int
        Number of invalid trials that failed each check.
    """
    if not invalid:
        return []
    ranked = sorted(failed.items(), key=lambda item: (-item[1], item[0]))
    why = ", ".join(f"{name} ({number})" for name, number in ranked)
    pieces = [
        Piece(f"{invalid} of {trials} trials", "invalid"),
        Piece(f" {'is' if invalid == 1 else 'are'} invalid and in no estimate"),
        Piece(f"; failed checks: {why}." if why else "."),
    ]
    return [Sentence("missing", pieces)]


def of_missing(
    results: Row,
    absent: Sequence[str],
    left_out: tuple[Sequence[str], Sequence[str]],
    least: int,
) -> list[Sentence]:
    """Sentences on what the report does not have.

    Parameters
    ----------
    results : mapping
        As of `of_estimates`.
    absent : sequence of str
        Trials of the experiment that are not in the tables.
    left_out : tuple of sequence of str
        Names of imports that cannot be read, and of variants that could not run.
    least : int
        Fewest trials for an interval.
    """
    found = []
    if absent:
        many = len(absent) > 1
        text = f"{len(absent)} trial{'s' if many else ''} of the experiment"
        pieces = [Piece(text, "absent"), Piece(f" {'are' if many else 'is'} not in the tables.")]
        found.append(Sentence("missing", pieces))
    empty = [row for row in results["rows"] if not row["valid"]]
    few = [row for row in results["rows"] if 0 < row["valid"] < least]
    for rows, text in ((empty, "No valid trial, so no estimate: "),
                       (few, f"Fewer than {least} valid trials, so no interval: ")):  # fmt: skip
        if rows:
            named = [Piece(f"{row['workload']} on {row['cluster']}", row["anchor"]) for row in rows]
            found.append(Sentence("missing", [Piece(text), *joined(named), Piece(".")]))
    for names, anchor, text in (
        (left_out[0], "left-out", "Imports left out because they cannot be read: "),
        (left_out[1], "without-cells", "Variants left out because they could not run: "),
    ):
        if names:
            pieces = [Piece(text), Piece(", ".join(names), anchor)]
            found.append(Sentence("missing", [*pieces, Piece(".")]))
    return found


def _ahead(claims: Iterable[Claim]) -> Iterator[Sentence]:
    """Claimed differences: one sentence for each pair, quantity and direction."""
    wanted = [claim for claim in claims if claim.verdict in (LARGER, SMALLER)]
    for group in grouped(wanted, lambda c: (c.pair, c.title, c.verdict, c.value["kind"])):
        first, second = group[0].pair
        ahead, behind = (first, second) if group[0].verdict == SMALLER else (second, first)
        start = f"{ahead} is ahead of {behind} in {group[0].title}. {first}'s is "
        pieces = [Piece(start)]
        if len(group) <= IN_FULL:
            for place, claim in enumerate(group):
                pieces += [Piece("; " if place else ""), Piece(effect(claim) + " on ")]
                pieces += [place_of(claim), Piece(f" ({support(claim)})")]
        else:
            pieces += [Piece(f"{effects(group)} on "), *places_of(group)]
            pieces.append(Piece(f" ({supports(group)})"))
        yield Sentence("ahead", [*pieces, Piece(".")])


def _same(claims: Iterable[Claim]) -> Iterator[Sentence]:
    """Quantities that are the same within the margin, or equal in all values."""
    wanted = [c for c in claims if c.verdict == EQUAL or c.verdict.startswith("the same within")]
    for group in grouped(wanted, lambda c: (c.pair, c.verdict)):
        first, second = group[0].pair
        words = "were equal in every trial" if group[0].verdict == EQUAL else (
            f"are {group[0].verdict}"
        )  # fmt: skip
        text = f"{first} and {second} {words} in "
        end = Piece(f" ({supports(group)}).")
        yield Sentence("same", [Piece(text), *named(group), end])


def _undecided(claims: Iterable[Claim]) -> Iterator[Sentence]:
    """Quantities for which no difference is shown, or for which there are too few trials."""
    every = list(claims)
    for group in grouped([c for c in every if c.verdict == NO_DIFFERENCE], lambda c: c.pair):
        first, second = group[0].pair
        start = Piece(f"{first} and {second}: no difference shown in ")
        yield Sentence("unknown", [start, *named(group), Piece(f" ({supports(group)}).")])
    yield from _too_few([c for c in every if c.verdict == TOO_SMALL])
    apart = sum(_excludes_no_difference(c) for c in every if c.verdict == NO_DIFFERENCE)
    if apart:
        text = (
            f"In {apart} of the comparisons without a shown difference, the interval alone suggests"
            " one (it is without 1, or without 0 if it has a unit). That is no verdict: all"
            " comparisons are judged together, and against the noise floor."
        )
        yield Sentence("unknown", [Piece(text)])


def _too_few(claims: Sequence[Claim]) -> Iterator[Sentence]:
    """Say which quantities have too few trials: once for all pairs that lack the same ones."""
    pairs = grouped(claims, lambda c: c.pair)
    for alike in grouped(pairs, _what):
        group = [claim for pair in alike for claim in pair]
        if len(alike) == 1:
            sides = [Piece(" and ".join(group[0].pair))]
            what = named(group)
        else:
            # A place would link to the row of one pair alone, so that pairs link to their own rows.
            sides = joined(
                [Piece(" with ".join(p[0].pair), str(p[0].row["anchor"])) for p in alike]
            )
            what = [Piece(piece.text) for piece in named(alike[0])]
        start = Piece(": n too small for a verdict on ")
        yield Sentence("unknown", [*sides, start, *what, Piece(f" ({supports(group)}).")])


def _what(claims: Sequence[Claim]) -> frozenset[tuple[str, str, str]]:
    """Quantities of claims, with workload and node count."""
    return frozenset((c.title, str(c.row["workload"]), str(c.row["nodes"])) for c in claims)


def _excludes_no_difference(claim: Claim) -> bool:
    """Whether the interval has neither 1, as a ratio, nor 0, as a difference."""
    low, high = claim.value["low"], claim.value["high"]
    same = 1.0 if claim.value["kind"] == "ratio" else 0.0
    return low is not None and high is not None and not low <= same <= high


def _not_compared(claims: Iterable[Claim]) -> Iterator[Sentence]:
    """Quantities that were not comparable, by reason."""
    wanted = [claim for claim in claims if _is_not_comparable(claim)]
    for group in grouped(wanted, lambda c: c.verdict):
        reason = group[0].verdict.removeprefix(f"{NOT_COMPARABLE}: ")
        pieces: list[Piece] = []
        for pair in grouped(group, lambda c: c.pair):
            pieces += [Piece("; " if pieces else ""), Piece(f"{pair[0].pair[0]} with "
                       f"{pair[0].pair[1]} in "), *named(pair)]  # fmt: skip
        yield Sentence("unknown", [Piece(f"Not compared ({reason}): "), *pieces, Piece(".")])


def _is_not_comparable(claim: Claim) -> bool:
    return claim.verdict.startswith(NOT_COMPARABLE)
