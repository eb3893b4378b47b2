"""Files that Ansible, Terraform, C programs and imports name, found in invented folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from schedlab.errors import SchedlabError
from schedlab.sources.ansible import Playbook
from schedlab.sources.imports import closure, module_file
from schedlab.sources.infrastructure import program_files, terraform_files


def test_imports_in_functions_count_and_those_for_types_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "madeup"
    (package / "inner").mkdir(parents=True)
    for name in ("used", "late", "typed", "plain"):
        (package / f"{name}.py").write_text("X = 1\n")
    (package / "__init__.py").write_text('"""Nothing but this."""\n')
    (package / "inner" / "__init__.py").write_text("from ..plain import X\n")
    (package / "inner" / "entry.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "from importlib import import_module\n"
        "import json, madeup.used\n"
        "if TYPE_CHECKING:\n    from madeup import typed\n"
        "def f():\n    return import_module('madeup.late')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = closure(["madeup.inner.entry"])
    assert found == {
        "madeup.inner.entry", "madeup.inner", "madeup.used", "madeup.late", "madeup.plain",
    }  # fmt: skip
    assert module_file("madeup.inner.entry") == package / "inner" / "entry.py"
    assert "madeup.plain" not in closure(["madeup.inner.entry"], lambda m: m == "madeup.inner")


@pytest.fixture
def role(tmp_path: Path) -> Path:
    """An invented Ansible folder with one role in two parts."""
    texts = {
        "playbooks/all.yml": "- hosts: all\n  roles: ['{{ role }}']\n",
        "playbooks/image.yml": "- hosts: all\n"
        "  tasks:\n    - import_role: {name: a, tasks_from: install}\n",
        "roles/a/tasks/install.yml": "- include_vars: {file: '{{ schedlab_os_family }}.yml'}\n"
        "- copy: {src: one.conf, dest: /}\n",
        "roles/a/tasks/main.yml": "- include_tasks: more.yml\n  notify: again\n"
        "- template:\n    src: '{{ item.src }}'\n  loop: [{src: x.j2}]\n",
        "roles/a/tasks/more.yml": "- script: run.sh\n",
        "roles/a/tasks/unused.yml": "- debug:\n",
        "roles/a/vars/Debian.yml": "a_packages: []\n",
        "roles/a/vars/RedHat.yml": "a_packages: []\n",
        "roles/a/defaults/main.yml": "a_size: 1\n",
        "roles/a/handlers/main.yml": "- name: again\n",
        "roles/a/files/one.conf": "1\n",
        "roles/a/files/run.sh": "true\n",
        "roles/a/templates/x.j2": "{% include 'y.j2' %}\n",
        "roles/a/templates/y.j2": "{% include 'x.j2' %}\n",
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def below(folder: Path, playbook: str, *roles: str) -> set[str]:
    found = Playbook(playbook, roles, folder).files()
    return {path.relative_to(folder).as_posix() for path in found}


def test_a_role_is_followed_from_its_tasks(role: Path) -> None:
    assert below(role, "image.yml") == {
        "playbooks/image.yml", "roles/a/tasks/install.yml", "roles/a/vars/Debian.yml",
        "roles/a/vars/RedHat.yml",
        "roles/a/files/one.conf",
    }  # fmt: skip
    parts = ("tasks/main.yml", "tasks/more.yml", "files/run.sh", "templates/x.j2",
             "templates/y.j2", "defaults/main.yml", "handlers/main.yml")  # fmt: skip
    assert below(role, "all.yml", "a") == {"playbooks/all.yml", *(f"roles/a/{p}" for p in parts)}


def test_defaults_shape_an_image_whose_tasks_use_them(role: Path) -> None:
    install = role / "roles/a/tasks/install.yml"
    install.write_text(install.read_text() + "- debug: {msg: '{{ a_size }}'}\n")
    assert "roles/a/defaults/main.yml" in below(role, "image.yml")


def test_an_include_that_cannot_be_followed_is_refused(role: Path) -> None:
    (role / "roles/a/tasks/main.yml").write_text("- include_tasks: '{{ part }}.yml'\n")
    with pytest.raises(SchedlabError, match="cannot be determined"):
        below(role, "all.yml", "a")


def test_a_branch_counts_when_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "branches"
    package.mkdir()
    for name in ("typed", "running", "both", "relative"):
        (package / f"{name}.py").write_text("X = 1\n")
    (package / "__init__.py").write_text("")
    (package / "entry.py").write_text(
        "import sys, typing\n"
        "from importlib import import_module\n"
        "if not typing.TYPE_CHECKING:\n    import branches.running\n"
        "else:\n    import branches.typed\n"
        "if typing.TYPE_CHECKING or sys.argv:\n    import branches.both\n"
        "if typing.TYPE_CHECKING and sys.argv:\n    import branches.typed\n"
        "import_module('.relative', __package__)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {name.removeprefix("branches.") for name in closure(["branches.entry"])}
    assert found == {"entry", "running", "both", "relative"}


def write_files(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_modules_of_terraform_modules_count(tmp_path: Path) -> None:
    write_files(
        tmp_path / "root",
        {
            "main.tf": 'module "a" {\n  source = "./a"\n}\n',
            "a/main.tf": 'module "b" { source = "../../shared" }\n',
            "unused/main.tf": "",
            "a/.terraform/x": "",
        },
    )
    write_files(
        tmp_path,
        {
            "shared/main.tf": 'locals { x = file("${path.module}/../texts/${var.n}.txt") }\n',
            "shared/deep/x.xslt": "",
            "texts/one.txt": "",
            "texts/one.md": "",
        },
    )
    found = {path.relative_to(tmp_path).as_posix() for path in terraform_files(tmp_path / "root")}
    assert found == {
        "root/main.tf", "root/a/main.tf", "shared/main.tf", "shared/deep/x.xslt", "texts/one.txt",
    }  # fmt: skip


def test_headers_of_guest_programs_count(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {
            "payload.c": '#include <stdio.h>\n#include "one.h"\n#include "stdlib.h"\n',
            "one.h": '# include "deep/two.h"\n',
            "deep/two.h": '#include "../one.h"\n',
            "other.h": "",
        },
    )
    found = {path.relative_to(tmp_path).as_posix() for path in program_files(["payload"], tmp_path)}
    assert found == {"payload.c", "one.h", "deep/two.h"}


@pytest.mark.parametrize(
    ("task", "found"),
    [
        ("copy: {src: '{{ item }}'}\n  loop: [one.conf]", {"files/one.conf"}),
        ("copy: {src: '{{ item }}.conf'}\n  loop: [one]", {"files/one.conf"}),
        ("copy: {src: '{{ i.n }}'}\n  loop: [{n: run.sh}]\n  loop_control: {loop_var: i}",
         {"files/run.sh"}),
        ("copy: {src: '{{ item }}'}\n  loop: '{{ a_list }}'",
         {"files/d/two.conf", "vars/main.yml"}),
        ("copy: {src: '{{ item }}'}\n  loop: '{{ a_other }}'",
         {"files/one.conf", "files/run.sh", "files/d/two.conf"}),
        ("copy: {src: '{{ a_what }}.conf'}", {"files/one.conf", "files/d/two.conf"}),
        ("ansible.builtin.copy: src={{ item }}.sh dest=/\n  with_items: [run]", {"files/run.sh"}),
        ("copy: {src: '{{ item }}'}\n  with_fileglob: ['*.sh']", {"files/run.sh"}),
        ("copy: {src: '{{ role_path }}/files/run.sh'}", {"files/run.sh"}),
        ("copy: {src: '{{ schedlab_key }}'}", set()),
        ("copy: {src: '{{ item }}', remote_src: true}\n  loop: '{{ a_other }}'", set()),
        ("copy: {content: \"{{ lookup('file', 'one.conf') }}\"}", {"files/one.conf"}),
        ("debug: {msg: \"{{ lookup('ansible.builtin.file', a_what ~ '.conf') }}\"}",
         {"files/one.conf", "files/run.sh", "files/d/two.conf"}),
        ("template: {src: '{{ item }}.j2'}\n  loop: [x]", {"templates/x.j2", "templates/y.j2"}),
        ("template: {src: plain}", {"templates/plain", "templates/x.j2", "templates/y.j2"}),
        ("include_vars: '{{ a_what }}.yml'",
         {"vars/Debian.yml", "vars/RedHat.yml", "vars/main.yml"}),
    ],
)  # fmt: skip
def test_names_that_tasks_make_are_followed(role: Path, task: str, found: set[str]) -> None:
    write_files(
        role / "roles/a",
        {
            "tasks/install.yml": f"- {task}\n",
            "files/d/two.conf": "",
            "vars/main.yml": "a_list: [d/two.conf]\n",
            "templates/plain": "{% include ['x.j2', 'y.j2'] %}\n",
        },
    )
    always = {"playbooks/image.yml", "roles/a/tasks/install.yml"}
    assert below(role, "image.yml") == always | {f"roles/a/{name}" for name in found}


def test_links_to_folders_are_followed(role: Path) -> None:
    write_files(role / "elsewhere", {"deep/three.conf": ""})
    (role / "roles/a/files/linked").symlink_to(role / "elsewhere")
    (role / "elsewhere/deep/back").symlink_to(role / "elsewhere")
    (role / "roles/a/tasks/install.yml").write_text("- copy: {src: linked/, dest: /}\n")
    assert "roles/a/files/linked/deep/three.conf" in below(role, "image.yml")


def test_what_stands_beside_a_playbook_or_is_code_of_a_role_counts(role: Path) -> None:
    write_files(
        role,
        {
            "playbooks/more.yml": "- import_playbook: image.yml\n"
            "- hosts: all\n  vars_files: [x.yml]\n",
            "playbooks/x.yml": "x: 1\n",
            "playbooks/group_vars/all.yml": "y: 1\n",
            "roles/a/library/own.py": "",
        },
    )  # fmt: skip
    found = below(role, "more.yml")
    assert found >= {
        "playbooks/image.yml", "playbooks/x.yml", "playbooks/group_vars/all.yml",
        "roles/a/library/own.py", "roles/a/tasks/install.yml",
    }  # fmt: skip


def test_a_part_of_a_role_that_a_variable_names_is_refused(role: Path) -> None:
    (role / "roles/a/tasks/main.yml").write_text(
        "- include_role: {name: a, tasks_from: '{{ part }}'}\n"
    )
    with pytest.raises(SchedlabError, match="cannot be determined"):
        below(role, "all.yml", "a")
