"""Further packages of schedulers: what is wrong with one is said, with the remedy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import schedlab.schedulers as package
from schedlab.errors import SchedlabError

# The package has a function of the module's name.
register = import_module("schedlab.schedulers.register")
ADAPTER = """
from schedlab.schedulers.register import register
from schedlab.schedulers.nullscheduler.adapter import NullScheduler

@register
class Mine({base}):
    name = "mine"
    image = "mine"
    roles = ({roles})
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with further packages, forgotten afterwards."""
    # What is imported for the first time below would be forgotten too, but not imported again.
    for name in register.scheduler_names():
        register.get_scheduler(name)
    monkeypatch.setattr(register, "CHECKOUT", tmp_path)
    monkeypatch.setattr(register, "_adapters", dict(register._adapters))
    monkeypatch.setattr(package, "__path__", list(package.__path__))
    found = tmp_path / "further"
    (found / "mine").mkdir(parents=True)
    monkeypatch.setenv(register.FURTHER, str(found))
    yield found
    sys.modules.pop("schedlab.schedulers.mine", None)


def refused(folder: Path, text: str) -> SchedlabError:
    (folder / "mine/__init__.py").write_text(text)
    with pytest.raises(SchedlabError) as caught:
        register.get_scheduler("mine")
    assert str(folder / "mine") in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import no_such_module_of_anybody\n", "no_such_module_of_anybody"),
        ("x = 1\n", "registers no adapter named 'mine'"),
        (ADAPTER.format(base="NullScheduler", roles='"common", "absent"'), "the role 'absent'"),
        (
            ADAPTER.format(base="NullScheduler", roles='"common",').replace(
                '"mine"\n    r', '"a-b"\n    r'
            ),
            "the image 'a-b'",
        ),
        (
            ADAPTER.format(base="__import__('schedlab').schedulers.base.Scheduler", roles=""),
            "lacks methods: ",
        ),
    ],
)
def test_a_package_that_is_not_complete_is_refused(folder: Path, text: str, words: str) -> None:
    assert words in refused(folder, text).message


def test_a_complete_one_is_found(folder: Path) -> None:
    text = ADAPTER.format(base="NullScheduler", roles='"common", "nullscheduler"')
    (folder / "mine/__init__.py").write_text(text)
    assert register.get_scheduler("mine").name == "mine"


def test_a_folder_outside_the_checkout_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "CHECKOUT", folder / "elsewhere")
    with pytest.raises(SchedlabError, match="outside the checkout"):
        register.scheduler_names()


def test_a_name_that_is_taken_is_refused(folder: Path) -> None:
    (folder / "slurm").mkdir()
    (folder / "slurm/__init__.py").touch()
    with pytest.raises(SchedlabError, match="'slurm' is the name of a package here"):
        register.scheduler_names()
