"""Makes text from others safe to show on a terminal or in a message.

Names, messages and records may come from others. Control characters in them could clear the screen,
set the title of the window, or type input in the user's name. Marks of writing direction could make
a name look like another one. Both are shown as their code numbers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

NOTICES = ("NOTICE: ", "WARNING: ")
"""Beginnings of lines of a stage that are shown to people during a run."""
_KEPT = "\n\t"
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories: control, format, surrogate, private, unassigned, line and paragraph end."""


def printable(text: str) -> str:
    r"""Replace each character that a terminal would obey, or not show, by its number: ``\u001b``.

    JSON has the same notation, so JSON stays valid: there such characters occur only in strings.
    """
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(
        letter
        if letter in _KEPT or unicodedata.category(letter) not in _INVISIBLE
        else _shown(letter)
        for letter in text
    )


def word(value: object) -> str:
    """Return a value as printable text without line ends and tabs, for use within a line."""
    return printable(str(value)).replace("\n", "\\u000a").replace("\t", "\\u0009")


def _shown(letter: str) -> str:
    code = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{code[at : at + 4]}" for at in range(0, len(code), 4))


LONGEST = 100
"""Largest number of characters of a value, a key or a word in a message."""
LONGEST_COMMAND = 200
"""The same of a command of ours, whose arguments can have pages of JSON."""


def brief(text: str, longest: int = LONGEST) -> str:
    r"""Return text for one line of a message: escaped as by `word`, and cut if it is too long.

    Parameters
    ----------
    text : str
        The text.
    longest : int
        Largest number of characters of the outcome.

    >>> brief("a\x1b[2Jb")
    'a\\u001b[2Jb'
    """
    shown = word(text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


def some(names: Sequence[str], most: int) -> str:
    """Join the first `most` names with commas, and say how many more there are.

    >>> some(["a", "b"], 2), some(["a", "b", "c"], 2)
    ('a, b', 'a, b and 1 more')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(number: int, noun: str) -> str:
    """Write a number of things: ``1 trial``, ``2 trials``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that an unknown one resembles most, without regard to case, or None."""
    spelling = {name.lower(): name for name in known}
    # Words of any length are compared in a time that grows with the square of it.
    begun = [name for name in spelling if len(word) > 2 and name.startswith(word.lower())]
    if len(begun) == 1:
        return spelling[begun[0]]
    close = get_close_matches(word[:100].lower(), spelling, n=1, cutoff=0.6)
    return spelling[close[0]] if close else None


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Remedy for an unknown word: the closest known one, or all of them."""
    found = closest(word, known)
    return f"did you mean {found}?" if found else f"use one of {', '.join(known)}"
