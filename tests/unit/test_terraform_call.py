"""Terraform's exit, and the one failure after which it runs again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from schedlab.errors import SchedlabError
from schedlab.stages.terraform import ATTEMPTS, call

LOST = """\
╷
│ Error: error while retrieving remote ISO: error initializing ISO
│ reader: corrupted-image: EOF
│
│   with module.cluster.libvirt_cloudinit_disk.seed["compute1"],
╵
"""


def program(folder: Path, failures: int, message: str) -> list[str]:
    """A program that fails so many times with a message, then prints its arguments."""
    (folder / "message").write_text(message)
    path = folder / "terraform"
    path.write_text(
        "#!/bin/sh\necho run >> runs\n"
        f'if [ "$(wc -l < runs)" -le {failures} ]; then cat message >&2; exit 1; fi\n'
        'echo "done: $*"\n'
    )
    path.chmod(0o755)
    return [str(path), "apply", "-input=false"]


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text().splitlines())


@pytest.mark.parametrize("failures", [0, 1, ATTEMPTS - 1])
def test_a_seed_lost_on_the_way_is_asked_for_again(tmp_path: Path, failures: int) -> None:
    said = call(program(tmp_path, failures, LOST), tmp_path, os.environ, capture=True)
    assert said == "done: apply -input=false\n"
    assert runs(tmp_path) == failures + 1


def test_not_for_ever(tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="terraform apply failed") as caught:
        call(program(tmp_path, 99, LOST), tmp_path, os.environ)
    assert runs(tmp_path) == ATTEMPTS and "corrupted-image" in str(caught.value)


def test_no_other_failure_is_tried_again(tmp_path: Path) -> None:
    message = "Error: error while retrieving remote ISO: can't retrieve volume"
    with pytest.raises(SchedlabError, match="can't retrieve volume"):
        call(program(tmp_path, 1, message), tmp_path, os.environ)
    assert runs(tmp_path) == 1
