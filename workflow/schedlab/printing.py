"""Text that others may have chosen, as a terminal or a message may show it.

Names, messages and records may be of others. Control characters in them could clear the screen,
set the window's title or answer in the user's name; marks of writing direction show another name
than there is. Both are shown as their numbers.
"""

from __future__ import annotations

import unicodedata

_KEPT = "\n\t"
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of Unicode: control, format, surrogate, private, unassigned, line and paragraph."""


def printable(text: str) -> str:
    r"""Write characters that a terminal would obey, or not show, as ``\u001b``.

    The form is that of JSON too, where such characters can only stand inside text.
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
    """A value that others chose, within a line: it cannot begin a line of its own."""
    return printable(str(value)).replace("\n", "\\u000a").replace("\t", "\\u0009")


def _shown(letter: str) -> str:
    code = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{code[at : at + 4]}" for at in range(0, len(code), 4))


LONGEST = 100
"""Characters of a value, a key or a word in a message."""


def brief(text: str, longest: int = LONGEST) -> str:
    r"""Text on one line of a message: escaped as by `word`, and cut where it is long.

    >>> brief("a\x1b[2Jb")
    'a\\u001b[2Jb'
    """
    shown = word(text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."
