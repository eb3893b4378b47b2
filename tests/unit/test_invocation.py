"""What a user chose on Snakemake's command line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner
from snakemake.cli import parse_config

from schedlab.bundle.contents import Choice
from schedlab.cli.main import main
from schedlab.errors import SchedlabError
from schedlab.invocation import (
    DEFAULTS,
    PARTS,
    VARIABLES,
    chosen,
    is_dry_run,
    parts,
    results_name,
)
from schedlab.outside.names import inside
from schedlab.paths import CHECKOUT


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


@pytest.mark.parametrize("word", ["", "''", " '' "])
@pytest.mark.parametrize("key", ["experiments", "results"])
def test_an_empty_value_is_not_the_default(key: str, word: str) -> None:
    """`make report CONFIG=$MINE` of a variable that is not set would run another experiment."""
    with pytest.raises(SchedlabError, match=f"--config {key}=: it has no value") as error:
        chosen(parse_config([f"{key}={word}"]), (), [f"{key}={word}"])
    assert f"leave {key}= out" in str(error.value.remedy)


@pytest.mark.parametrize("text", ["mine", "my own", ""])
@pytest.mark.parametrize("key", ["experiments", "results"])
def test_snakemake_does_not_drop_what_the_shell_chose(key: str, text: str) -> None:
    name = VARIABLES[key]
    with pytest.raises(SchedlabError, match=name) as error:
        chosen({}, environment={name: text})
    assert f"unset {name}" in str(error.value.remedy)
    assert not text or f"{key}={text}" in str(error.value.remedy)


@pytest.mark.parametrize("key", ["experiments", "results"])
def test_the_users_word_and_the_runs_own_variables_are_taken(key: str) -> None:
    """The jobs of a run have the whole path in their variables."""
    assert chosen({key: "other"}, environment={VARIABLES[key]: "mine"})[key] == "other"
    whole = {VARIABLES[key]: str(Path(DEFAULTS[key]).resolve())}
    assert chosen({}, environment=whole)[key] == DEFAULTS[key]


@pytest.mark.parametrize("word", ["nonsense", "blocks,image", "blocks images"])
def test_a_part_that_no_bundle_has_is_refused(word: str) -> None:
    with pytest.raises(SchedlabError, match="include") as error:
        chosen(parse_config([f"include={word}"]))
    assert "blocks, images, snapshots" in str(error.value.remedy)


@pytest.mark.parametrize("word", ["", "blocks", "blocks,images,snapshots", "blocks, images"])
def test_parts_of_a_bundle_are_known(word: str) -> None:
    values = chosen(parse_config([f"include={word}"]))
    assert set(parts(values["include"])) <= {field.name for field in fields(Choice)} == {*PARTS}


@pytest.mark.parametrize("word", ["[blocks]", "{a: 1}", "3"])
def test_parts_that_are_no_text_are_refused(word: str) -> None:
    with pytest.raises(SchedlabError, match="include") as error:
        chosen(parse_config([f"include={word}"]))
    assert "separated by commas" in str(error.value.remedy)


def test_the_message_of_a_value_that_grows_is_short() -> None:
    level = "[x]"
    for number in range(24):
        level = f"[&a{number} {level}, *a{number}]"
    with pytest.raises(SchedlabError, match="as a list or a mapping, which is not") as error:
        chosen(parse_config([f"results={level}"]))
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    "word",
    ["20241126", "2024_11_26", "1e3", "1.5", "True", "[a]", "[]", "a: b", "{a: b}", "{}", "-1",
     "9" * 5000],
)  # fmt: skip
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


@pytest.mark.parametrize("name", ["n" * 300, "ü" * 150, "a/" * 2000, "n" * 300 + "/below"])
def test_a_name_that_no_file_system_takes_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="the results folder") as error:
        results_name(str(tmp_path / name), CHECKOUT)
    assert "choose a shorter" in str(error.value.remedy)


@pytest.mark.parametrize("name", ["circle", "circle/below", "one"])
def test_links_in_a_circle_are_refused(name: str, tmp_path: Path) -> None:
    for link, target in (("circle", "circle"), ("one", "two"), ("two", "one")):
        (tmp_path / link).symlink_to(target)
    path = str(tmp_path / name)
    with pytest.raises(SchedlabError, match="round in a circle"):
        results_name(path, CHECKOUT)
    with pytest.raises(SchedlabError, match="round in a circle"):
        inside(tmp_path, name)
    for words in (["clean", "--results", path], ["disk", "--results", path],
                  ["toolchain", "--output", path], ["trials", "--results", path]):  # fmt: skip
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 1 and "round in a circle" in done.output, (words, done.output)


@pytest.mark.parametrize("name", ["file", "file/below", "nowhere", "nowhere/below"])
def test_a_file_is_no_results_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent")
    with pytest.raises(SchedlabError, match=f"the results folder {tmp_path / name}: ") as error:
        results_name(str(tmp_path / name), CHECKOUT)
    assert "name a folder" in str(error.value.remedy)
    assert results_name(str(tmp_path / "absent" / "below"), CHECKOUT)


@pytest.mark.parametrize(
    ("words", "dry"),
    [(["-n"], True), (["-pn"], True), (["--dry-run"], True), (["--cores", "2"], False),
     (["--config", "results=n"], False)],
)  # fmt: skip
def test_a_dry_run_is_known(words: list[str], dry: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/snakemake"])
    assert is_dry_run(["snakemake", *words]) is dry


@pytest.mark.parametrize("word", ["old results #1", "a #b", " a", "a "])
def test_what_snakemake_shortens_is_refused(word: str, tmp_path: Path) -> None:
    """Another folder than the user meant, in silence."""
    with pytest.raises(SchedlabError, match="reads it as") as error:
        chosen(parse_config([f"results={word}"]), (), [f"results={word}"])
    quoted = re.search(r'--config "(.*)"$', str(error.value.remedy))
    assert quoted
    assert chosen(parse_config([quoted[1]]), (), [quoted[1]])["results"] == word


NAMES = [
    *("mine", "old results", "ü", "50%", "100%41", "a #1", "#1", "it's", "20241126", "2024_11_26"),
    *("1e3", "True", "null", "~", "a: b", "[a]", "-x", "a$HOME", "a`id`", "$(id)", "a,b", "a  b"),
    *("a;b", "a&b", "/srv/mine", "a=b", "*"),
]


def checkout_with(root: Path, program: str, script: str) -> None:
    """A checkout of which only the Makefile is real, and one program of its environment."""
    (root / "scripts").mkdir()
    (root / "scripts/setup").write_text("#!/bin/sh\n")
    (root / "scripts/setup").chmod(0o755)
    (root / "envs").mkdir()
    for file in ("Makefile", "scripts/with-environment", "envs/environment.txt"):
        shutil.copy(CHECKOUT / file, root / file)
    path = root / ".venv/bin" / program
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("name", NAMES)
def test_make_hands_a_name_over_as_written(name: str, tmp_path: Path) -> None:
    checkout_with(tmp_path, "snakemake", 'printf "%s\\0" "$@" "$SCHEDLAB_RESULTS"')
    # On make's command line a dollar sign is a variable of make, unless it is doubled.
    done = subprocess.run(
        ["make", "report", f"CONFIG={name.replace('$', '$$')}"],
        cwd=tmp_path, env=os.environ | {"RESULTS": name}, capture_output=True, text=True,
    )  # fmt: skip
    *words, results = done.stdout.split("\0")[:-1]
    assert results == name, done.stderr
    given = words[words.index("--config") + 1 : words.index("--")]
    values = chosen(parse_config(given), (), given)
    assert values["results"] == name
    if "$" not in name:
        assert values["experiments"] == name


@pytest.mark.parametrize(
    "variable", ["CORES", "CONFIG", "RESULTS", "IMAGE", "INCLUDE", "TESTS", "NESTED", "SEED"]
)
@pytest.mark.parametrize("value", ["$(shell touch made)", "`touch made`", '"; touch made; "'])
def test_make_executes_nothing_of_a_variable(variable: str, value: str, tmp_path: Path) -> None:
    checkout_with(tmp_path, "snakemake", ":")
    for program in (".venv/bin/python", "scripts/lint"):
        shutil.copy(tmp_path / "scripts/setup", tmp_path / program)
    for target in ("help", "report", "test", "test-faults", "test-kvm"):
        subprocess.run(
            ["make", target, f"{variable}={value}"], cwd=tmp_path, capture_output=True, check=False
        )
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "value", ["", " ", "blocks", "blocks, images", "a #b", "it's", "$(id)", "`id`"]
)
def test_make_hands_parts_over_as_written(value: str, tmp_path: Path) -> None:
    """Of a blank value without quotes Snakemake ends in a traceback of its own."""
    checkout_with(tmp_path, "snakemake", 'printf "%s\\0" "$@"')
    done = subprocess.run(
        ["make", "bundle"], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"INCLUDE": value, "CONFIG": " "},
    )  # fmt: skip
    words = done.stdout.split("\0")[:-1]
    given = words[words.index("--config") + 1 : words.index("--")]
    found = parse_config(given)
    assert found["experiments"] == " "
    assert found["include"] == value, done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "unset unset"),
        (["RESULTS=mine"], "unset mine"),
        (["CONFIG=own.yaml", "RESULTS=mine"], "own.yaml mine"),
    ],
)
def test_a_default_of_make_is_no_choice_of_the_user(
    words: list[str], told: str, tmp_path: Path
) -> None:
    script = 'echo "${SCHEDLAB_EXPERIMENTS-unset} ${SCHEDLAB_RESULTS-unset}"'
    checkout_with(tmp_path, "schedlab", script)
    # The same in the shell's variables is no contradiction.
    same = {"SCHEDLAB_RESULTS": "mine" if words else "results", "SCHEDLAB_CACHE": "elsewhere"}
    done = subprocess.run(
        ["make", "disk", *words], cwd=tmp_path, capture_output=True, text=True,
        env=without_choices() | same,
    )  # fmt: skip
    assert done.stdout.strip() == told, done.stderr


def without_choices() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name not in ("CONFIG", "RESULTS")}


@pytest.mark.parametrize(
    ("name", "variable", "target"),
    [
        ("SCHEDLAB_RESULTS", "RESULTS", "clean"),
        ("SCHEDLAB_RESULTS", "RESULTS", "report"),
        ("SCHEDLAB_EXPERIMENTS", "CONFIG", "report"),
        ("SCHEDLAB_IMAGE", "IMAGE", "conformance"),
        ("SCHEDLAB_SEED", "SEED", "test-faults"),
    ],
)
@pytest.mark.parametrize("text", ["of-the-shell", "", "my own", "it's", "a\x1b[31m`touch made`"])
def test_make_does_not_drop_what_the_shell_chose(
    name: str, variable: str, target: str, text: str, tmp_path: Path
) -> None:
    """`SCHEDLAB_RESULTS=mine make clean` would remove `results`."""
    checkout_with(tmp_path, "schedlab", "touch ran")
    shutil.copy(tmp_path / ".venv/bin/schedlab", tmp_path / ".venv/bin/snakemake")
    environment = without_choices() | {name: text}
    done = subprocess.run(
        ["make", target], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    if not text and variable in ("IMAGE", "SEED"):  # make's default too
        assert name not in done.stderr
        return
    assert done.returncode and not (tmp_path / "ran").exists()
    assert f"{name}=" in done.stderr and f"or unset {name}" in done.stderr
    assert f"remedy: make {target} {variable}=" in done.stderr
    assert "\x1b" not in done.stderr and not (tmp_path / "made").exists()
    helped = subprocess.run(["make", "help"], cwd=tmp_path, capture_output=True, env=environment)
    assert helped.returncode == 0


def test_variables_that_a_target_does_not_read_do_not_stop_it(tmp_path: Path) -> None:
    checkout_with(tmp_path, "schedlab", "touch ran")
    environment = without_choices() | {"SCHEDLAB_SEED": "1", "SCHEDLAB_IMAGE": "x"}
    done = subprocess.run(["make", "disk"], cwd=tmp_path, capture_output=True, env=environment)
    assert done.returncode == 0 and (tmp_path / "ran").exists(), done.stderr


@pytest.mark.parametrize("word", ["RESULT=mine", "Config=$(shell touch made)", "results=x y"])
def test_make_refuses_variables_that_it_does_not_know(word: str, tmp_path: Path) -> None:
    """`make clean RESULT=old` would remove `results`."""
    checkout_with(tmp_path, "schedlab", "touch ran")
    done = subprocess.run(
        ["make", "clean", word], cwd=tmp_path, capture_output=True, text=True,
        env=without_choices(),
    )  # fmt: skip
    assert done.returncode and f"{word.partition('=')[0]}: no variable" in done.stderr
    assert "remedy: correct it to one of CORES CONFIG RESULTS" in done.stderr
    assert not (tmp_path / "ran").exists() and not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "text", ["a{b}c", "a}", "a\nb", 'a"b', "a\\b", "~", "~/mine", "", " ", ".", "..", "/", "./"]
)
def test_a_name_that_rules_cannot_use_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SchedlabError, match="the results folder") as error:
        results_name(text, tmp_path)
    assert error.value.remedy


@pytest.mark.parametrize("name", ["a{b}", "a:b", 'a"b', "a\\b", "a\tb"])
def test_a_checkout_whose_path_tools_cannot_take_is_refused(name: str, tmp_path: Path) -> None:
    root = tmp_path / name
    for file in ("Makefile", "scripts/setup", "scripts/with-environment", "envs/environment.txt"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / file, root / file)
    done = subprocess.run(["make", "report"], cwd=root, capture_output=True, text=True)
    assert done.returncode and "the path of the checkout" in done.stderr, done.stderr
    assert "remedy: move it" in done.stderr
