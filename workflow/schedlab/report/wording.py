"""Words and numbers as a sentence lists them."""

from __future__ import annotations

from collections.abc import Sequence


def any_of(comparisons: int) -> str:
    """Name all of some comparisons."""
    return f"any of {comparisons} comparisons" if comparisons > 1 else "the one comparison"


def extremes(texts: Sequence[str]) -> str:
    """Least and greatest of some sorted texts."""
    if not texts:
        return ""
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"


def listed(words: Sequence[str]) -> str:
    """Words with commas, and an *and* before the last."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
