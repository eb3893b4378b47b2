"""Whole numbers of many lines at once are those of Python's own parser, or are refused."""

from __future__ import annotations

import random

import pytest

from schedlab.swf.words import Words


@pytest.mark.parametrize("seed", range(20))
def test_numbers_are_those_of_the_words(seed: int) -> None:
    rng = random.Random(seed)
    lines = []
    for _ in range(rng.randint(1, 200)):
        numbers = (rng.choice("-  ") + str(rng.randrange(10 ** rng.randint(1, 16))) for _ in "123")
        blanks = (rng.choice([" ", "\t", "  \t ", "\x0b"]) for _ in "123")
        line = "".join(a + b for a, b in zip(blanks, (n.strip() for n in numbers), strict=True))
        lines.append(line.lstrip() if rng.random() < 0.5 else line + " " * rng.randint(0, 2))
    text = "\n".join(lines) + rng.choice(["", "\n"])
    words = Words(text.encode(), 3)
    assert words.complete and words.lines == len(lines)
    for field in range(3):
        found = words.whole(field)
        assert found is not None
        assert found.tolist() == [int(line.split()[field]) for line in lines]


@pytest.mark.parametrize("digits", range(1, 17))
def test_each_digit_has_its_place(digits: int) -> None:
    numbers = [10**digits - 1, 10 ** (digits - 1), int("1234567890123456"[:digits]), 7]
    words = Words("".join(f"-{n} {n} {n:0{digits}}\n" for n in numbers).encode(), 3)
    found = [words.whole(field) for field in range(3)]
    assert [part.tolist() for part in found if part is not None] == [
        [-n for n in numbers],
        numbers,
        numbers,
    ]


@pytest.mark.parametrize(
    "word",
    ["x", "1x", "x1", "+5", "1.5", "1e3", "-", "--1", "1-2", "5-", "12345678x", "x12345678", "1:",
     "1/", "12345678901234567", "-12345678901234567", "\xe9", "1\xff", "nan", "1_0", "\x7f"],
)  # fmt: skip
def test_a_word_that_is_no_whole_number_refuses_its_field_alone(word: str) -> None:
    words = Words(f"1 2 3\n4 {word} 6\n7 8 9\n".encode("latin-1"), 3)
    assert words.complete
    assert words.whole(1) is None
    for field, numbers in ((0, [1, 4, 7]), (2, [3, 6, 9])):
        found = words.whole(field)
        assert found is not None and found.tolist() == numbers


@pytest.mark.parametrize(
    "text",
    ["1 2 3\n4 5\n", "1 2 3\n4 5\n6 7 8 9\n", "1 2\n3 4 5 6\n", "1 2 3\n\n4 5 6\n", "1 2 3 4\n", "",
     " \n", *(f"1 2{chr(code)}3\n" for code in range(32) if code not in range(9, 14))],
)  # fmt: skip
def test_lines_with_other_words_or_control_characters_are_not_complete(text: str) -> None:
    assert not Words(text.encode(), 3).complete
