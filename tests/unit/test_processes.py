"""Programs run apart from the settings of the user's environment."""

from __future__ import annotations

import ast
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from schedlab import processes
from schedlab.cli.main import main
from schedlab.doctor import findings as doctor_findings
from schedlab.errors import SchedlabError
from schedlab.images.files import make_files_disk
from schedlab.paths import CHECKOUT, PACKAGE, PACKER
from schedlab.results.provenance import changed_sources, source
from schedlab.stages import configure
from schedlab.stages.terraform import call
from schedlab.testbed.ssh import connect
from schedlab.toolchain import tools

STARTS = {
    "subprocess": {"run", "Popen", "call", "check_call", "check_output", "getoutput"},
    "os": {"system", "popen", "posix_spawn", "posix_spawnp"},
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
    "pty": {"spawn"},
    "ansible_runner": {"run", "run_async", "run_command", "run_command_async"},
}
"""Functions that start a program, by module; those of `os` that begin with exec and spawn, too."""


def starts(tree: ast.AST) -> Iterator[str]:
    """Yield the calls that start a program, except those of a library inside `listed_only`."""
    if isinstance(tree, ast.With) and "processes.listed_only()" in map(
        ast.unparse, (item.context_expr for item in tree.items)
    ):
        return
    if isinstance(tree, ast.ImportFrom) and tree.module in STARTS:
        yield from (a.name for a in tree.names if a.name in STARTS[tree.module])
    if isinstance(tree, ast.Attribute) and isinstance(tree.value, ast.Name):
        module, name = tree.value.id, tree.attr
        if name in STARTS.get(module, ()) or (
            module == "os" and name.startswith(("exec", "spawn"))
        ):
            yield f"{module}.{name} in line {tree.lineno}"
    # A type such as `subprocess.Popen[bytes]` starts nothing.
    inside = [tree.slice] if isinstance(tree, ast.Subscript) else [*ast.iter_child_nodes(tree)]
    for inner in inside:
        yield from starts(inner)


def test_only_one_module_starts_programs() -> None:
    found = {
        str(path.relative_to(PACKAGE)): list(starts(ast.parse(path.read_text())))
        for path in PACKAGE.rglob("*.py")
    }
    assert {name for name, calls in found.items() if calls} == {"processes.py"}
    own = "with processes.listed_only():\n    ansible_runner.run()\nos.execvp('a', [])"
    assert list(starts(ast.parse(own))) == ["os.execvp in line 3"]
    assert list(starts(ast.parse("from subprocess import run"))) == ["run"]


HOSTILE = {
    "ANSIBLE_STDOUT_CALLBACK": "no_such_callback",
    "ANSIBLE_CALLBACKS_ENABLED": "no_such_callback",
    "ANSIBLE_STRATEGY": "no_such_strategy",
    "ANSIBLE_REMOTE_USER": "somebody",
    "ANSIBLE_CALLBACK_PLUGINS": "/nonexistent",
    "ANSIBLE_CHECK_MODE_MARKERS": "neither",
    "TF_CLI_ARGS": "-no-such-option",
    "TF_LOG": "TRACE",
    "TF_DATA_DIR": "/proc/nowhere",
    "TF_PLUGIN_CACHE_DIR": "/nonexistent",
    "PACKER_LOG": "1",
    "PACKER_LOG_PATH": "/proc/nowhere",
    "PACKER_CONFIG": "/proc/nowhere",
    "PKR_VAR_roles": "nonsense",
    "SNAKEMAKE_PROFILE": "no-such-profile",
    "PYTHONPATH": "/nonexistent",
    "PYTHONHOME": "/nonexistent",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONIOENCODING": "latin-1",
    "LC_ALL": "de_DE.UTF-8",
    "LC_MESSAGES": "xx",
    "LANGUAGE": "de:fr",
    "CDPATH": "/:/usr",
    "BASH_ENV": "/nonexistent",
    "BASH_FUNC_schedlab%%": "() { exit 9; }",
    "GIT_DIR": "/nonexistent",
    "GIT_EXTERNAL_DIFF": "false",
    "GREP_OPTIONS": "-v",
    "SSH_ASKPASS": "false",
    "TMPDIR": "/long",
    "MPLBACKEND": "no_such_backend",
    "QEMU_AUDIO_DRV": "nonsense",
    "LIBVIRT_DEFAULT_URI": "nonsense:///",
    "GOFLAGS": "-no-such-flag",
    "GOROOT": "/nonexistent",
    "POSIXLY_CORRECT": "1",
}


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's environment that would change or end every tool; return the user's home."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/config").write_text("Host *\n  User nobody\n  NoSuchOption yes\n")
    (home / ".ansible.cfg").write_text("[defaults]\nstdout_callback = no_such_callback\n")
    (home / ".gitconfig").write_text("[diff]\n\texternal = false\n[core]\n\tfsmonitor = false\n")
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/ignore").write_text("*\n")
    (home / ".terraformrc").write_text("no such block {\n")
    (home / ".packerconfig").write_text("nonsense")
    long = tmp_path / ("t" * 100)
    long.mkdir()
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(long))
    # Python's own module keeps what it found first.
    monkeypatch.setattr(tempfile, "tempdir", None)
    before = os.umask(0o077)
    yield home
    os.umask(before)


def test_a_child_gets_listed_variables_only(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    monkeypatch.setenv("SCHEDLAB_CACHE", "/somewhere")
    found = processes.environment({"TF_LOG": "WARN"})
    assert found["https_proxy"] == "http://proxy.invalid:3128"
    assert found["SCHEDLAB_CACHE"] == "/somewhere"
    assert found["TF_LOG"] == "WARN"
    assert found["LC_ALL"] == "C.UTF-8"
    assert found["PYTHONPATH"] == str(CHECKOUT / "workflow")
    assert set(HOSTILE) & set(found) == {"LC_ALL", "PACKER_CONFIG", "PYTHONPATH", "TF_LOG"}


def test_a_child_has_a_home_and_a_mode_for_files(
    hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    code = "import os; print(os.environ['HOME'], os.umask(0))"
    done = processes.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == [pwd.getpwuid(os.getuid()).pw_dir, str(0o022)]


def test_sockets_have_short_paths(hostile: Path) -> None:
    with processes.socket_folder() as folder:
        assert len(str(folder)) <= processes.LONGEST_TEMPORARY + 18
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_ssh(hostile: Path, tmp_path: Path) -> None:
    described = [{"name": "head", "address": "10.0.0.1", "role": "head"}]
    with connect(tmp_path, described, tmp_path / "id") as nodes:
        command = nodes["head"].command()
        done = processes.run([*command[:-1], "-G", "head"], capture_output=True, text=True)
    options = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert options["user"] == "bench"
    # OpenSSH adds a dot and 16 letters while it makes the socket; unix(7) allows 107.
    assert len(options["controlpath"]) + 17 <= 107


def test_git(hostile: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "workflow").mkdir(parents=True)
    (checkout / "workflow/a").write_text("1\n")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.invalid"]
    for words in (["init", "-q"], ["add", "--force", "."], [*identity, "commit", "-qm", "a"]):
        assert processes.run(["git", *words], cwd=checkout).returncode == 0
    assert source(checkout)["diff"] is None
    assert changed_sources(checkout) == []
    (checkout / "workflow/new").touch()
    assert changed_sources(checkout) == ["workflow/new"]
    (checkout / "workflow/a").write_text("2\n")
    assert source(checkout)["diff"] is not None


def test_terraform(hostile: Path, tmp_path: Path) -> None:
    found = tools.discover_terraform()
    if found is None:
        pytest.skip("neither Terraform nor OpenTofu is on PATH")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/main.tf").write_text('output "a" {\n  value = 1\n}\n')
    call([str(found.path), "init", "-input=false"], tmp_path / "root", {})
    call([str(found.path), "validate"], tmp_path / "root", {})


def test_packer(hostile: Path) -> None:
    found = tools.discover(tools.PACKER)
    if found is None:
        pytest.skip("HashiCorp's Packer is not on PATH")
    command = [found.path, "validate", "-syntax-only", PACKER / "scheduler.pkr.hcl"]
    done = processes.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.command: sh -c 'echo {}'
      changed_when: true
    - ansible.builtin.copy:
        content: text
        dest: "{{ made }}"
        mode: preserve
"""


def test_ansible(hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real ansible-playbook, on this machine in place of a cluster."""
    ansible = tmp_path / "copy"
    shutil.copytree(configure.ANSIBLE, ansible)
    (ansible / "playbooks/setup.yml").write_text(PLAYBOOK)
    inventory = ansible / "inventory/terraform.py"
    inventory.write_text(
        '#!/bin/sh\necho \'{"all": {"hosts": ["localhost"]}, "_meta": {"hostvars": '
        '{"localhost": {"ansible_connection": "local"}}}}\'\n'
    )
    monkeypatch.setattr(configure, "ANSIBLE", ansible)
    variables = {"made": str(tmp_path / "made")}
    rows = configure.run_playbook(tmp_path / "o", tmp_path / "c", variables, tmp_path, 300)
    assert [row["failed"] for row in rows] == [False, False]
    assert os.environ["ANSIBLE_STRATEGY"] == "no_such_strategy"  # the caller's is as before


def test_genisoimage(hostile: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("x")
    if shutil.which("genisoimage") is None:
        pytest.skip("genisoimage is not installed")
    (tmp_path / "scratch").mkdir()
    assert make_files_disk([program], {}, [], [], tmp_path / "scratch").stat().st_size > 0


SHOW = """
import locale, sys
from schedlab.cli.main import main

@main.command()
def show():
    print(sys.flags.optimize, locale.getpreferredencoding(False), "/elsewhere" in sys.path)

main(["show"])
"""


def test_the_command_starts_again_where_the_interpreter_was_changed() -> None:
    """PYTHON* and the encoding act before any line of schedlab does."""
    environment = {**os.environ, **HOSTILE, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    environment |= {"PYTHONUTF8": "0", "PYTHONPATH": f"{CHECKOUT / 'workflow'}:/elsewhere"}
    del environment["PYTHONHOME"]  # the interpreter itself does not start with it
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == ["0", "UTF-8", "False"], done.stderr


SNAKEFILE = """\
import os, sys, tempfile
from schedlab import processes
from schedlab.invocation import is_snakemake
processes.settle(again=is_snakemake())
print("TOLD", sys.flags.optimize, "SNAKEMAKE_PROFILE" in os.environ, workflow.cores,
      tempfile.gettempdir(), file=sys.stderr)
rule all:
    shell: "true"
"""


@pytest.mark.parametrize("program", [["-m", "snakemake"], ["snakemake"]])
def test_snakemake_starts_again_where_the_environment_has_changed_it(
    tmp_path: Path, program: list[str]
) -> None:
    """A profile of the user's, or PYTHON*, act before Snakemake reads the Snakefile."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("cores: 7\n")
    long = tmp_path / ("t" * 100)
    long.mkdir()
    words = [str(Path(sys.executable).with_name(program[0]))] if len(program) == 1 else program
    done = subprocess.run(
        [sys.executable, *words, "--dry-run", "--cores", "2"],
        cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {
            "SNAKEMAKE_PROFILE": str(tmp_path / "mine"), "PYTHONOPTIMIZE": "2",
            "TMPDIR": str(long), "PYTHONPATH": str(CHECKOUT / "workflow"),
        },
    )  # fmt: skip
    told = [line for line in done.stderr.splitlines() if line.startswith("TOLD")]
    assert told == ["TOLD 0 False 2 /tmp"], done.stderr


def test_the_makefile_and_scripts_use_the_same_list(hostile: Path) -> None:
    """Programs of the shell, before Python is there: `make` and scripts/setup."""
    variables = {**os.environ, "https_proxy": "http://proxy.invalid", "ODD": "a\nPATH=b"}
    script = CHECKOUT / "scripts/with-environment"
    command = [script, sys.executable, "-c", "import os; print(*os.environ, os.umask(0))"]
    del variables["HOME"]
    done = subprocess.run(command, env=variables, cwd="/", capture_output=True, text=True)
    *names, umask = done.stdout.split()
    assert {"PATH", "HOME", "https_proxy", "LC_ALL"} <= set(names), done.stderr
    allowed = {"LC_ALL", "SCHEDLAB_ENVIRONMENT", "TMPDIR"}
    assert set(names) - allowed <= set(processes.environment()) | {"https_proxy"}
    assert umask == str(0o022)
    # The same bound for the paths of sockets.
    text = script.read_text()
    assert f"-gt {processes.LONGEST_TEMPORARY} ]]" in text


def test_make_runs_its_recipes_with_the_list(hostile: Path, tmp_path: Path) -> None:
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"include {CHECKOUT / 'Makefile'}\nshow:\n\t@type cd; env\n")
    done = subprocess.run(
        ["make", "-f", makefile, "show", "RESULTS=my results"],
        cwd=CHECKOUT, capture_output=True, text=True, env={**os.environ, "MAKEFLAGS": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "TMPDIR=/tmp" in lines
    assert "SCHEDLAB_RESULTS=my results" in lines
    assert [
        line for line in lines if line.partition("=")[0] in set(HOSTILE) - {"LC_ALL", "TMPDIR"}
    ] == []


def test_a_failure_has_the_programs_last_words() -> None:
    command = ["sh", "-c", "echo first >&2; echo last >&2; exit 3"]
    with pytest.raises(SchedlabError, match="sh ended with status 3: first\nlast"):
        processes.run(command, check=True, capture_output=True)


def test_output_is_passed_on_and_its_end_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    status, said = processes.run_logged(["sh", "-c", "echo a; echo b >&2; echo c; exit 4"], kept=2)
    assert (status, said) == (4, ["b", "c"])
    assert capfd.readouterr().err == "a\nb\nc\n"


@pytest.mark.parametrize("given", ["", "a\nb\n"])
def test_a_logged_program_gets_its_standard_input(given: str) -> None:
    assert processes.run_logged(["cat"], given=given) == (0, given.splitlines())
    # One that reads nothing of it and ends at once is no error.
    assert processes.run_logged(["true"], given=given) == (0, [])


def test_a_program_that_takes_too_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*_: object, **__: object) -> None:
        processes.run(["sleep", "60"], timeout=0.1)

    monkeypatch.setattr(doctor_findings, "report_problems", late)
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 1 and "sleep did not end within 0.1 s" in done.output


@pytest.mark.parametrize(
    ("handler", "number"), [("SIG_DFL", signal.SIGTERM), ("SIG_IGN", signal.SIGKILL)]
)
def test_a_program_that_ignores_sigterm_is_killed(handler: str, number: int) -> None:
    code = (
        f"import signal, time; signal.signal(signal.SIGTERM, signal.{handler});"
        "print('ready', flush=True); time.sleep(600)"
    )
    process = processes.start([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout and process.stdout.readline() == b"ready\n"
    processes.end(process, 1)
    assert process.returncode == -number
    process.stdout.close()
