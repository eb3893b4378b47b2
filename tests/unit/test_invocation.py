"""What a user chose on Snakemake's command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from snakemake.cli import parse_config

from schedlab.errors import SchedlabError
from schedlab.invocation import chosen, results_name


def test_the_defaults_hold_where_nothing_is_chosen() -> None:
    assert chosen({})["results"] == "results"
    assert chosen({"include": None})["include"] == ""


@pytest.mark.parametrize("key", ["experiment", "Experiments", "xyz", "config"])
def test_an_unknown_key_is_refused(key: str) -> None:
    with pytest.raises(SchedlabError) as error:
        chosen({key: "other.yaml"})
    assert key in error.value.message and "did you mean experiments?" in str(error.value.remedy)


def test_a_configfile_is_refused() -> None:
    with pytest.raises(SchedlabError, match="other.yaml") as error:
        chosen({"a": 1}, [Path("other.yaml")])
    assert "did you mean experiments?" in str(error.value.remedy)


@pytest.mark.parametrize("word", ["20241126", "2024_11_26", "1e3", "1.5", "True", "[a]", "a: b"])
def test_what_snakemake_does_not_keep_as_text_is_refused(word: str) -> None:
    with pytest.raises(SchedlabError, match="results") as error:
        chosen(parse_config([f"results={word}"]))
    assert "./NAME" in str(error.value.remedy)


@pytest.mark.parametrize("word", ["20241126", "2024_11_26", "1e3", "1.5", "True", "it's"])
def test_the_remedy_keeps_a_name_as_written(word: str, tmp_path: Path) -> None:
    # The Makefile passes names in this form.
    values = chosen(parse_config([f"results=./{word}"]))
    assert results_name(values["results"], tmp_path) == word


@pytest.mark.parametrize("text", ["mine/", "./mine", "mine", ".//mine//", "mine/."])
def test_a_folder_has_one_name(text: str, tmp_path: Path) -> None:
    assert results_name(text, tmp_path) == "mine"


@pytest.mark.parametrize("text", ["a{b}c", "a}", "a\nb", "", " ", ".", "..", "/", "./"])
def test_a_name_that_rules_cannot_use_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SchedlabError, match="the results folder") as error:
        results_name(text, tmp_path)
    assert error.value.remedy
