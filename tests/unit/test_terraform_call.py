"""How Terraform ends, and the failure after which it is run again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from schedlab.errors import SchedlabError
from schedlab.stages import provision, terraform
from schedlab.stages.terraform import ATTEMPTS, InVain, call

LOST = """\
╷
│ Error: error while retrieving remote ISO: error initializing ISO
│ reader: corrupted-image: EOF
│
│   with module.cluster.libvirt_cloudinit_disk.seed["compute1"],
╵
"""


def program(folder: Path, failures: int, message: str) -> list[str]:
    """A program that fails a number of times with a message, then prints its arguments."""
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
    said = call(program(tmp_path, failures, LOST), tmp_path, {}, capture=True)
    assert said == "done: apply -input=false\n"
    assert runs(tmp_path) == failures + 1


def test_not_for_ever(tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="terraform apply failed") as caught:
        call(program(tmp_path, 99, LOST), tmp_path, {})
    assert runs(tmp_path) == ATTEMPTS and "corrupted-image" in str(caught.value)


def test_no_other_failure_is_tried_again(tmp_path: Path) -> None:
    message = "Error: error while retrieving remote ISO: can't retrieve volume"
    with pytest.raises(SchedlabError, match="can't retrieve volume"):
        call(program(tmp_path, 1, message), tmp_path, {})
    assert runs(tmp_path) == 1


WAITS = 'module.cluster.libvirt_cloudinit_disk.seed["head"]: Still creating... [1m0s elapsed]'


def test_a_seed_that_never_comes_ends_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terraform, "_GRACE", 0.1)
    path = tmp_path / "terraform"
    path.write_text(f"#!/bin/sh\ntrap '' TERM\necho '{WAITS}'\nexec sleep 600\n")
    path.chmod(0o755)
    with pytest.raises(InVain):
        call([str(path), "apply"], tmp_path, {})


def test_a_guest_whose_kernel_panicked_ends_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terraform, "_GRACE", 0.1)
    console = tmp_path / "compute1.log"
    console.write_text("[   1.0] Linux version 6.12\n")
    provision.require_no_panic(tmp_path)
    path = tmp_path / "terraform"
    path.write_text(
        "#!/bin/sh\necho '[   16.2] Kernel panic - not syncing: Fatal exception' >> compute1.log\n"
        "echo 'node: Still creating... [10s elapsed]'\nexec sleep 600\n"
    )
    path.chmod(0o755)
    with pytest.raises(InVain, match="compute1 stopped: Kernel panic - not syncing: Fatal") as told:
        call([str(path), "apply"], tmp_path, {}, check=lambda: provision.require_no_panic(tmp_path))
    assert (told.value.stage, told.value.node) == ("provision", "compute1")


def test_what_does_not_end_is_ended_at_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "terraform"
    path.write_text("#!/bin/sh\nexec sleep 600\n")
    path.chmod(0o755)
    with pytest.raises(SchedlabError, match=r"did not end within 0\.2 s"):
        call([str(path), "apply"], tmp_path, {}, limit=0.2)


def test_a_stuck_seed_begins_anew_with_nothing_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[str] = []
    made = iter([InVain("stuck"), {"inventory": {}}])

    class Fake:
        def __init__(self, _toolchain: object, folder: Path) -> None:
            folder.mkdir()

        def apply(self, _variables: object, _limit: float, check: Callable[[], None]) -> object:
            check()
            outcome = next(made)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

    monkeypatch.setattr(provision, "Terraform", Fake)
    monkeypatch.setattr(provision, "remove_objects", lambda _c, name: removed.append(name))
    testbed = type("Testbed", (), {"connection": None, "identity": "0123abcd"})()
    pool = tmp_path / "pool"
    pool.mkdir()
    (pool / "head.qcow2").touch()
    consoles = tmp_path / "consoles"
    consoles.mkdir()
    (consoles / "head.log").touch()
    folders = {"pool_directory": str(pool), "console_directory": str(consoles)}
    _, outputs = provision.create(testbed, None, folders, 900, tmp_path)
    assert outputs == {"inventory": {}} and removed == ["0123abcd"] and not pool.exists()
    # What an earlier boot said tells nothing of the next one.
    assert not list(consoles.iterdir())
