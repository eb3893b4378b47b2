"""Options of stages that name something of the experiment: a wrong one is refused at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from schedlab.cli.main import main
from schedlab.stages.context import Context

TEXT = """\
schedulers: [slurm, flux]
nodes: [1, 2]
placement: {oversubscribe: true}
workloads: [{name: b, kind: burst, jobs: 3}]
"""


def run(tmp_path: Path, *words: str) -> tuple[int, str]:
    path = tmp_path / "e.yaml"
    path.write_text(TEXT)
    where = ["--experiments", str(path), "--results", str(tmp_path / "results")]
    done = CliRunner().invoke(main, [words[0], *where, *words[1:]])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


TRACE = ("trace-workload", "--workload", "b", "--output", "OUT")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("base", "--image", "nosuch"), "--image nosuch: not one of"),
        (("programs", "--image", "nosuch"), "--image nosuch: not one of"),
        (("image", "--image", "nosuch"), "--image nosuch: not one of"),
        (("provision", "--machines", "nosuch"), "--machines nosuch: not one of"),
        (("configure", "--cluster", "nosuch"), "--cluster nosuch: not one of"),
        (("exec", "--cluster", "nosuch"), "--cluster nosuch: not one of"),
        (
            ("trial", "--cluster", "slurm-n1", "--workload", "x", "--repetition", "1"),
            "--workload x: not one of",
        ),
        (
            ("decision", "--cluster", "slurm-n1", "--workload", "b", "--repetition", "0"),
            "--repetition 0: workload b of",
        ),
        ((*TRACE, "--nodes", "abc", "--repetition", "1"), "--nodes abc: not one of"),
        ((*TRACE, "--nodes", "2x0", "--repetition", "1"), "--nodes 2x0: not one of"),
        ((*TRACE, "--nodes", "9" * 30, "--repetition", "1"), "not one of"),
        ((*TRACE, "--nodes", "2", "--repetition", "-5"), "--repetition -5: workload b of"),
        ((*TRACE, "--nodes", "2", "--repetition", "1001"), "--repetition 1001: workload b of"),
    ],
)
def test_what_the_experiment_does_not_have_is_refused(
    tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    output = str(tmp_path / "trace.json")
    status, text = run(tmp_path, *(output if word == "OUT" else word for word in words))
    assert (status, told in text, "remedy: use one of" in text) == (1, True, True), text
    assert not list((tmp_path / "results").rglob("*")) and not Path(output).exists()


def test_an_image_of_a_scheduler_that_is_left_out_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schedlab.schedulers.base.unlocked", lambda *_words: "no file pins it")
    status, text = run(tmp_path, "programs", "--image", "flux")
    assert (status, "flux is left out: no file pins it" in text) == (1, True), text


@pytest.mark.parametrize("place", ["", "file/below"])
def test_an_output_that_cannot_be_a_file_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("kept")
    words = ("trace-workload", "--workload", "b", "--nodes", "1", "--repetition", "1")
    status, text = run(tmp_path, *words, "--output", str(tmp_path / place))
    assert (status, "remedy: name a file" in text) == (2, True), text


@pytest.mark.parametrize("repetition", ["1", "48"])
def test_a_trace_is_written_also_of_a_repetition_that_only_a_bisection_asks_for(
    tmp_path: Path, repetition: str
) -> None:
    output = tmp_path / "trace.json"
    words = ("trace-workload", "--workload", "b", "--nodes", "2", "--repetition", repetition)
    assert run(tmp_path, *words, "--output", str(output))[0] == 0
    assert output.is_file()


def test_a_trial_loads_its_experiment_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it enters its testbed, for which it need not be loaded again."""
    loaded, entered = [], []
    load = Context.load

    def counted(config: Path, results: Path) -> Context:
        loaded.append(config)
        return load(config, results)

    def in_testbed(_words: object, **facts: object) -> int:
        entered.append(facts)
        return 7

    monkeypatch.setattr(Context, "load", counted)
    monkeypatch.setattr("schedlab.testbed.supervisor.in_testbed", in_testbed)
    words = ("trial", "--cluster", "slurm-n1", "--workload", "b", "--repetition", "1")
    assert run(tmp_path, *words)[0] == 7
    assert len(loaded) == 1
    assert entered == [
        {
            "uri": "auto",
            "results": tmp_path / "results",
            "name": "slurm-n1.b.1",
        }
    ]
