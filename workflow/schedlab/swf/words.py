"""Whole numbers of many lines of text at once.

The digits of a word of up to eight are the bytes of one integer of 64 bits. Three multiplications
add them up in pairs, fours and eights [1]_, for all words of a field together. So only the fields
that are used are parsed, and each takes less time than by `numpy.fromstring`.

References
----------
.. [1] D. Lemire, "Quickly parsing eight digits", 2018.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Whole = npt.NDArray[np.int64]
Octets = npt.NDArray[np.uint64]

_EIGHT = 8
_SPACE, _NEWLINE, _MINUS = b" \n-"
_FIRST_BLANK, _LAST_BLANK = b"\t\r"
"""These, those between them and the space are white space; other control characters are not."""
_PADDING = b" " * (2 * _EIGHT)


def _each(byte: int) -> np.uint64:
    return np.uint64(int.from_bytes(bytes([byte] * _EIGHT), "little"))


_ZEROS, _HIGH_HALF, _SIX = _each(ord("0")), _each(0xF0), _each(6)
_LAST: Octets = np.array([2**64 - 2 ** (8 * (8 - n)) for n in range(9)], np.uint64)
"""Number n -> the last n bytes of an octet; the first digit is in the lowest byte."""


class Words:
    """The words of whole lines, in text that should have as many in each line.

    Attributes
    ----------
    lines : int
        Number of lines.
    complete : bool
        Whether each line has as many words as it should.
    """

    def __init__(self, text: bytes, fields: int) -> None:
        # With blanks before it, sixteen bytes up to the end of any word can be read.
        padded = _PADDING + text + (b"" if text.endswith(b"\n") else b"\n")
        self._text: Bytes = np.frombuffer(padded, np.uint8)
        # Unaligned: an integer begins at each byte.
        self._octets: Octets = np.ndarray((len(padded) - 7,), "<u8", padded, strides=(1,))
        blank = self._text <= _SPACE
        # Before the first letter of a word and at its last, in turn.
        edges = np.flatnonzero(blank[1:] != blank[:-1])
        newlines = np.flatnonzero(self._text == _NEWLINE)
        self.lines = newlines.size
        self.complete = edges.size == 2 * fields * self.lines and _only_blanks(self._text)
        if self.complete:
            self._edges = edges.reshape(self.lines, 2 * fields)
            first, last = self._edges[:, 0], self._edges[:, -1]
            self.complete = bool((last < newlines).all() and (first[1:] >= newlines[:-1]).all())

    def whole(self, field: int) -> Whole | None:
        """Numbers (lines,) in a field of complete lines.

        Returns
        -------
        numpy.ndarray or None
            None unless each word is one to sixteen digits, perhaps with a minus before them.
        """
        begin, end = self._edges[:, 2 * field] + 1, self._edges[:, 2 * field + 1] + 1
        digits = end - begin
        negative = self._text[begin] == _MINUS
        signed = bool(negative.any())
        if signed:
            digits -= negative
        most = int(digits.max())
        if digits.min() < 1 or most > 2 * _EIGHT:
            return None
        number = _eight(self._octets[end - _EIGHT], np.minimum(digits, _EIGHT))
        if number is not None and most > _EIGHT:
            high = _eight(self._octets[end - 2 * _EIGHT], np.maximum(digits - _EIGHT, 0))
            number = None if high is None else number + high * 10**_EIGHT
        if number is not None and signed:
            np.negative(number, out=number, where=negative)
        return number


def _only_blanks(text: Bytes) -> bool:
    """Whether all characters up to the space are white space."""
    after = np.uint8(_LAST_BLANK + 1)
    # Smaller ones wrap around: they come out large.
    return bool(text.min() >= _FIRST_BLANK and (text - after).min() >= _SPACE - after)


def _eight(octets: Octets, digits: Whole) -> Whole | None:
    """Numbers in the last digits (0 to 8) of octets; None where one is no digit."""
    value = (octets ^ _ZEROS) & _LAST[digits]
    # The high half of a digit is now 0, also when 6 is added to it.
    if ((value | (value + _SIX)) & _HIGH_HALF).any():
        return None
    value = value * np.uint64(10) + (value >> np.uint64(8))
    pairs = np.uint64(0x000000FF_000000FF)
    odd = (value & pairs) * np.uint64(100 + (1_000_000 << 32))
    even = ((value >> np.uint64(16)) & pairs) * np.uint64(1 + (10_000 << 32))
    return ((odd + even) >> np.uint64(32)).astype(np.int64)
