"""Hostile and careless experiment files: no value is guessed, and no fault gives a traceback."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from schedlab.config import Experiment, HostFacts, read_experiment
from schedlab.config.load import write_experiment
from schedlab.config.yaml_reader import DEEPEST, MOST, read_yaml
from schedlab.config.yaml_scalars import Ambiguous, plain_value, yaml_text
from schedlab.config.yaml_text import LARGEST
from schedlab.design import load_experiment
from schedlab.errors import SchedlabError

ROOT = Path(__file__).resolve().parents[2]
HOST = HostFacts(cores=8, memory_mib=16384)
HEAD = "nodes: [1]\nplacement: {oversubscribe: true}\n"
BURST = "workloads:\n  - {name: b, kind: burst, jobs: 2, runtime: 0}\n"


def load(folder: Path, text: str | bytes) -> Experiment:
    path = folder / "experiments.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_experiment(path, HOST, ROOT)


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(SchedlabError) as caught:
        load(folder, text)
    message = str(caught.value)
    assert caught.value.remedy or ". Remedy: " in message
    assert len(message) < 20_000
    assert all(letter.isprintable() for letter in message.replace("\n", "")), message
    assert "Input should" not in message
    return message


NATIVE = [
    *("OFF", "on", "yes", "No", "12:00:00", "1:00:00", "010", "24.10", "1e3", "0x10", "1_000"),
    *("2026-01-01", "2026-99-99", "true", "True", "null", "~", ".inf", ".NaN", "1e999", "-0"),
    *("0o17", "+5", "1.0", "007", "9" * 500, "a=b", "x: y"[:1], "=", "50%", "$HOME", "&a"[1:]),
]


@pytest.mark.parametrize("word", NATIVE)
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_native_settings_are_the_text_as_written(tmp_path: Path, word: str, quote: str) -> None:
    text = f"{HEAD}settings:\n slurm:\n  JobCompParams: {quote}{word}{quote}  # a comment\n{BURST}"
    if not quote and word in {"null", "~"}:
        # In YAML these mean no value, so the scheduler must not get them as text.
        message = refusal(tmp_path, text)
        assert f"settings.slurm.JobCompParams = '{word}': means no value" in message
        assert "leave the key out for the default" in message
        return
    experiment = load(tmp_path, text)
    assert experiment.settings["slurm"]["JobCompParams"] == word
    again = tmp_path / "again.yaml"
    write_experiment(experiment, again)
    assert read_experiment(again).settings["slurm"]["JobCompParams"] == word


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (r"'300 \'", "ends with a backslash"),
        ("'{{ lookup(''pipe'', ''id'') }}'", "template"),
        ("'{% raw %}'", "template"),
        ("'a{#b'", "template"),
        (r'"a\nNodeName=x"', "U+000A"),
        (r'"a\rb"', "U+000D"),
        (r'"a\0b"', "U+0000"),
        (r'"a\tb"', "U+0009"),
        (r'"a\eb"', "U+001B"),
        (r'"a\x7fb"', "U+007F"),
        (r'"a\Nb"', "U+0085"),
        (r'"a\Lb"', "U+2028"),
        (r'"a\Pb"', "U+2029"),
        (r'"a\_b"', "U+00A0"),
        (r'"a\u202eb"', "U+202E"),
        (r'"a\ud800b"', "U+D800"),
        ("|\n    a\n    b", "U+000A"),
        ("'a '", "blank"),
        ("''", "not one value without #"),
        ("", "not one value without #"),
        ("'a # b'", "not one value without #"),
        ("'a#b'", "not one value without #"),
        (r"'a\b'", "not one value without #"),
        ("a StateSaveLocation=x", "not one value without #"),
        ("'\"a\" StateSaveLocation=x'", "not one value without #"),
        ("[a, b]", "not text"),
        ("{a: b}", "not text"),
        ("x" * 5000, "characters"),
        ("x" * 3000, "characters"),
    ],
)
def test_native_values_that_would_not_arrive_are_refused(
    tmp_path: Path, value: str, what: str
) -> None:
    message = refusal(tmp_path, f"{HEAD}settings:\n slurm:\n  JobCompParams: {value}\n{BURST}")
    assert what in message
    assert "experiments.yaml:5:" in message
    assert "JobCompParams" in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SchedulerParameters", "bf_continue SlurmctldHost=evil"),
        ("SchedulerParameters", "bf_interval=30 # x"),
        ("SchedulerParameters", "bf_interval=30#x"),
        ("SchedulerParameters", 'a"b'),
        ("SchedulerParameters", "bf_continue, bf_interval=30"),
        ("TaskPlugin", "task/none Include x"),
        ("taskplugin", r"task/none\x"),
        ("SlurmdDebug", "info Include"),
    ],
)
@pytest.mark.parametrize("variant", [False, True])
def test_no_listed_setting_of_slurm_carries_a_second_key_or_a_comment(
    tmp_path: Path, key: str, value: str, variant: bool
) -> None:
    own = yaml.safe_dump({key: value}, default_flow_style=True).strip()
    where = (
        f"schedulers: [{{name: a, scheduler: slurm, settings: {own}}}]"
        if variant
        else f"settings: {{slurm: {own}}}"
    )
    message = refusal(tmp_path, f"{HEAD}{where}\n{BURST}")
    assert f"settings.{key if variant else f'slurm.{key}'} = " in message
    assert ": not " in message


@pytest.mark.parametrize(
    "key", ["'a b'", "'a=b'", "'{{x}}'", "'a#'", r'"a\n"', "é", "'include /x'", "''", "x" * 200]
)
def test_native_keys_are_words(tmp_path: Path, key: str) -> None:
    refusal(tmp_path, f"{HEAD}settings:\n slurm:\n  {key}: 1\n{BURST}")


def test_a_blank_within_double_quotes_arrives(tmp_path: Path) -> None:
    experiment = load(tmp_path, f"{HEAD}settings:\n slurm:\n  JobCompParams: '\"a b\"'\n{BURST}")
    assert experiment.settings["slurm"]["JobCompParams"] == '"a b"'


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1e-2", 0.01),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-3", -3),
        ("0x10", 16),
        ("0o17", 15),
        ("12:00:00", "12:00:00"),
        ("yes", "yes"),
        ("off", "off"),
        ("1_000", "1_000"),
        ("TRUE", True),
        ("~", None),
        ("", None),
        ("inf", "inf"),
    ],
)
def test_words_by_yaml_1_2(word: str, value: Any) -> None:
    found = plain_value(word)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "word",
    [".inf", "-.INF", ".nan", "1e999", "1e-999", "010", "-007", "9" * 5000, "0x" + "f" * 99]
    + ["0o" + "7" * 99, "2026-99-99", "2026-01-01", "2026-01-01T00:00:00Z"],
)
def test_words_that_stand_for_nothing_certain(word: str) -> None:
    with pytest.raises(Ambiguous) as caught:
        plain_value(word)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "word",
    ["1e-2", "010", "12:00", "yes", "~", "0x10", "2026-99-99", ".inf", "1e999", "0o7", "=", ""],
)
def test_text_that_looks_like_something_else_survives_writing(tmp_path: Path, word: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(yaml_text({"a": word, word or "k": 0.01}))
    assert read_yaml(path, lambda place: False).data == {"a": word, word or "k": 0.01}
    assert yaml.safe_load(path.read_text())["a"] == word


BOMB = "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9 if n else ['lol'] * 9)}]\n" for n in range(10)
)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (BOMB + BURST, ":5: a4: "),
        (f"a: &a [x]\n{BURST}b: &b [{','.join(['*a'] * 30_000)}]\n", "aliases repeat"),
        ("a: &a [*a]\n" + BURST, ":1: a: "),
        ("a: *b\n" + BURST, "no anchor &b precedes"),
        ("name: 2026-99-99\n" + BURST, ":1: name = '2026-99-99'"),
        ("name: !!python/object/apply:os.system ['id']\n" + BURST, ":1: name: "),
        ("name: !!binary aGk=\n" + BURST, "tag"),
        ("name: !!set {a}\n" + BURST, "tag"),
        ("name: !!str 5\n" + BURST, "tag"),
        ("name: !unknown 5\n" + BURST, "tag"),
        ("name: !e!x 5\n" + BURST, ":1: name: "),
        ("? [a, b]\n: 1\n" + BURST, "list or mapping cannot be a key"),
        ("? {a: b}\n: 1\n" + BURST, "list or mapping cannot be a key"),
        ("a: &a x\n*a : 1\n" + BURST, "alias cannot be a key"),
        ("node: {<<: {vcpus: 2}}\n" + BURST, "merge keys"),
        ("? \n: 1\n" + BURST, "empty key"),
        ("a: " + "[" * 20_000 + "\n" + BURST, f"more than {DEEPEST}"),
        ("a: " + "{a: " * 200 + "\n" + BURST, f"more than {DEEPEST}"),
        ("".join("  " * n + "a:\n" for n in range(100)), f"more than {DEEPEST}"),
        ("- " * 500 + "x\n", f"more than {DEEPEST}"),
        (f"seed: {'9' * 5000}\n" + BURST, "characters"),
        (f"seed: {'9' * 3000}\n" + BURST, "digits"),
        ("seed: 010\n" + BURST, "write 10"),
        ("seed: 1\nseed: 2\n" + BURST, ":2: key 'seed' is written twice: '2', and '1' in line 1"),
        ("settings: {slurm: {MinJobAge: 1, minjobage: 2}}\n" + BURST, "written twice"),
        ("repetitions: 3.0\n" + BURST, "valid integer"),
        ("placement: {oversubscribe: yes}\n" + BURST, "write true, without quotes"),
        ("placement: {hugepages: on}\n" + BURST, "write true, without quotes"),
        ("node:\n" + BURST, ":1: node = null: not a mapping"),
        ("workloads: {a: b}\n", "not a list"),
        ("workloads: [x]\n", "workloads[0] = 'x': not a mapping"),
        ("nodes: 1\n" + BURST, "not a list"),
        ("name: 2026\n" + BURST, "not text"),
        ("a: b\n---\nc: d\n", "a second document"),
        ("%YAML 1.1\n---\n" + BURST, "YAML 1.2"),
        (f"%YAML 1.{'9' * 5000}\n---\n" + BURST, "YAML"),
        ('name: "\\U00110000"\n' + BURST, "YAML"),
        ("node:\n\tvcpus: 2\n" + BURST, "tabs"),
        ("name: a\x1b[2Jb\n" + BURST, "U+001B"),
        ("# \x00\n" + BURST, "U+0000"),
        ("# a\u2028seed: 1\n" + BURST, "U+2028"),
        ('"a\\eb": 1\n' + BURST, "control characters in a key"),
        ((HEAD + BURST).encode("utf-16"), "UTF-16"),
        ((HEAD + BURST).encode("utf-16-le"), "UTF-16"),
        ((HEAD + BURST).encode("utf-32"), "UTF-32"),
        ("seed: 1\nname: é\n".encode("latin-1"), ":2: byte 0xe9"),
        (b"", "no mapping"),
        (b"# nothing\n", "no mapping"),
        (b"5\n", "no mapping"),
        (b"\0" * 100, "NUL"),
        ("".join(f"k{n}: 1\n" for n in range(5000)) + BURST, "unknown key"),
        ("k" * 100_000 + ": 1\n" + BURST, ""),
        ("a: [" + "x," * (MOST + 1) + "]\n", f"more than {MOST}"),
        ("#" * LARGEST + "\n" + BURST, "larger than 1 MiB"),
        ("libvirt: {uri: 'qemu+ssh://h/system?command=/tmp/x'}\n" + BURST, "libvirt URI"),
        ("libvirt: {uri: 'qemu+ext://h/system'}\n" + BURST, "libvirt URI"),
        ("libvirt: {uri: 'qemu+ssh://-oProxyCommand=x/system'}\n" + BURST, "libvirt URI"),
        ("libvirt: {uri: 'xen:///system'}\n" + BURST, "libvirt URI"),
        ("node: {memory: \"768 MiB\\n\"}\n" + BURST, "U+000A"),
        (f"node: {{memory: {'9' * 3000} MiB}}\n" + BURST, "not a size"),
        ("image: {kind: cloud, url: 'file:///no/such', sha256: "
         + "a" * 64 + ", os: debian}\n" + BURST, "there is no file /no/such"),
    ],
)  # fmt: skip
def test_hostile_files_are_refused_in_a_message(
    tmp_path: Path, text: str | bytes, what: str
) -> None:
    assert what in refusal(tmp_path, text)


def test_infinite_numbers_name_key_and_line(tmp_path: Path) -> None:
    text = (
        "workloads:\n"
        "  - {name: a, kind: burst, runtime: .inf}\n"
        "  - {name: b, kind: gang, runtime: .nan}\n"
    )
    message = refusal(tmp_path, text)
    assert ":2: workloads[0].runtime = '.inf': not a finite number. Remedy: " in message
    assert ":3: workloads[1].runtime = '.nan': not a finite number. Remedy: " in message


def test_exponents_without_a_point_are_numbers(tmp_path: Path) -> None:
    text = f"{HEAD}workloads:\n  - {{name: b, kind: poisson, runtime: 1e-2}}\n"
    assert load(tmp_path, text).workload("b").model_dump()["runtime"] == 0.01


def test_a_byte_order_mark_of_utf_8_and_lines_of_windows_are_read(tmp_path: Path) -> None:
    text = (HEAD + BURST).replace("\n", "\r\n")
    assert load(tmp_path, b"\xef\xbb\xbf" + text.encode()).nodes == [1]


def test_anchors_of_a_reasonable_size_are_read(tmp_path: Path) -> None:
    text = HEAD + "node: &n {vcpus: 1, memory: 768 MiB}\nhead: *n\n" + BURST
    assert load(tmp_path, text).head.vcpus == 1


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", Path("/dev/zero"), Path("a\0b"), Path("x" * 5000)):
        with pytest.raises(SchedlabError) as caught:
            load_experiment(path, HOST, ROOT)
        assert caught.value.remedy
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SchedlabError):
        load_experiment(tmp_path / "loop", HOST, ROOT)


@pytest.mark.parametrize(
    "cidr",
    ["127.0.0.0/24", "169.254.0.0/16", "240.0.0.0/8", "100.64.0.0/16", "192.0.2.0/24"]
    + ["198.18.0.0/16", "0.0.0.0/8", "224.0.0.0/24", "10.96.0.0/24", "10.96.128.0/17"]
    + ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/15", "172.32.0.0/24", "fd00::/64"]
    + ["10.0.100.0/255.255.255.0", "10.0.100.0/0.0.0.255", "10.0.100.0/99", "10.1/16"],
)
def test_networks_that_are_not_private_or_taken_or_too_wide(tmp_path: Path, cidr: str) -> None:
    message = refusal(tmp_path, f"{HEAD}network: {{cidr: '{cidr}'}}\n{BURST}")
    assert ":3: network.cidr = " in message


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "172.31.255.0/24", "192.168.5.0/27"])
def test_private_networks(tmp_path: Path, cidr: str) -> None:
    assert load(tmp_path, f"{HEAD}network: {{cidr: {cidr}}}\n{BURST}").network.cidr == cidr


def _mutated(rng: random.Random, text: str) -> bytes:
    """Text with a few of the changes that find faults in readers of YAML."""
    pieces = [":", "\n", "- ", "{", "}", "[", "]", "&a ", "*a", "!!", "!x ", "? ", "|", ">", "'"]
    pieces += ['"', "\\", "\t", "#", "%", "<<: ", "---\n", "...\n", "~", ".inf", "1e999", "010"]
    pieces += ["\x00", "\x85", "\u2028", "é", "😀", "  ", "9" * 50, "null", "true", "{{", "\r", "@"]
    letters = list(text)
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(len(letters))
        change = rng.random()
        if change < 0.5:
            letters[place:place] = rng.choice(pieces)
        elif change < 0.8:
            del letters[place : place + rng.randint(1, 20)]
        else:
            other = rng.randrange(len(letters))
            letters[place:place] = letters[other : other + rng.randint(1, 60)]
        letters = letters or ["x"]
    found = "".join(letters).encode()
    if rng.random() < 0.05:
        place = rng.randrange(len(found))
        found = found[:place] + bytes([rng.randrange(256)]) + found[place:]
    return found


def test_mutated_experiments_are_read_or_refused_in_a_message(tmp_path: Path) -> None:
    rng = random.Random(12)
    seeds = [
        (ROOT / "config" / name).read_text() for name in ("experiments.yaml", "comparison.yaml")
    ]
    seeds.append(f"{HEAD}settings:\n slurm:\n  PreemptMode: OFF\n  MinJobAge: 010\n{BURST}")
    refused = 0
    for _ in range(600):
        try:
            load(tmp_path, _mutated(rng, rng.choice(seeds)))
        except SchedlabError as error:
            refused += 1
            message = str(error)
            assert len(message) < 20_000
            assert all(letter.isprintable() for letter in message.replace("\n", "")), message
            assert "Input should" not in message
    assert 100 < refused < 600
