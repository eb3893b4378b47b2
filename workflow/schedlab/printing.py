"""Text of others on a terminal or in a message: on one line, escaped and shortened."""

from __future__ import annotations

LONGEST = 100
"""Characters of a value, a key or a word in a message."""


def printable(text: str, longest: int = LONGEST) -> str:
    r"""Text on one line: what a terminal would act on is escaped, what is long is cut.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    cut = text[: longest + 1]
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in cut
    )
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."
