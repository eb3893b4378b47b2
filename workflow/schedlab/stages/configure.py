"""Configure a provisioned cluster with Ansible, check its health, save a snapshot of it."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ansible_runner
import psutil

from schedlab import design, processes
from schedlab.config import Cluster
from schedlab.config.sections import FAMILIES
from schedlab.errors import SchedlabError
from schedlab.images.parts import role_parts
from schedlab.last_words import ansible_failure, last_words, task_at_work
from schedlab.paths import ANSIBLE, CHECKOUT, RECORD
from schedlab.privacy.private_files import secret_folder
from schedlab.results.records import RecordWriter, load_record, verify_outputs, write_json
from schedlab.sources import stage_files
from schedlab.sources.ansible import stated_files
from schedlab.stages import tuning
from schedlab.stages.context import Context
from schedlab.stages.guests import all_facts, emulator_pids, liveness, resident_mib
from schedlab.stages.health import clocks_agree, health_gate
from schedlab.testbed import snapshot
from schedlab.testbed.session import open_testbed
from schedlab.testbed.ssh import Node, connect, head_of, wait_until_reachable

STAGE = "configure"
PLAYBOOK = "setup.yml"


def task_timings(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Reduce ansible-runner's events to one row per finished task and host."""
    rows = []
    for event in events:
        if event["event"] in {"runner_on_ok", "runner_on_failed", "runner_on_unreachable"}:
            data = event["event_data"]
            rows.append(
                {
                    "task": data.get("task", ""),
                    "role": data.get("role", ""),
                    "host": data.get("host", ""),
                    "seconds": round(data.get("duration", 0.0), 3),
                    "changed": bool(data.get("res", {}).get("changed", False)),
                    "failed": event["event"] != "runner_on_ok"
                    and not data.get("ignore_errors", False),
                }
            )
    return rows


def as_written(value: Any) -> Any:
    """Mark every text in variables as one that Ansible must not render.

    Ansible renders extra variables as Jinja templates, which can run commands on this machine.
    An experiment file may come from anybody. The mark is how Ansible itself writes such texts to
    JSON, and its ``-e @FILE`` reads it back.
    """
    if isinstance(value, dict):
        return {key: as_written(content) for key, content in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_written(content) for content in value]
    return {"__ansible_unsafe": value} if isinstance(value, str) else value


def run_playbook(
    outputs: Path,
    ssh_config: Path,
    variables: dict[str, Any],
    scratch: Path,
    timeout: float,
    alive: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """Run the playbook against a cluster; return its task timings.

    Parameters
    ----------
    outputs : pathlib.Path
        Terraform's outputs, from which the inventory is made.
    ssh_config : pathlib.Path
        OpenSSH client configuration that knows the nodes.
    variables : dict
        Extra variables.
    scratch : pathlib.Path
        Folder for ansible-runner's files.
    timeout : float
        Time for the playbook, s.
    alive : callable
        Called again and again while the playbook runs. It ends the run by raising an error when a
        guest is gone.

    Raises
    ------
    SchedlabError
        When a task fails (the error names task, node and message), the playbook exceeds `timeout`,
        or a guest is gone.
    """
    private = scratch / "ansible"
    shutil.rmtree(private, ignore_errors=True)
    private.mkdir(parents=True)
    deadline = time.monotonic() + timeout
    gone: list[SchedlabError] = []

    def cancelled() -> bool:
        try:
            alive()
        except SchedlabError as error:
            gone.append(error)
        return bool(gone) or time.monotonic() > deadline

    with no_child_left(), processes.listed_only():
        result = ansible_runner.run(
            private_data_dir=str(private),
            project_dir=str(ANSIBLE),
            playbook=str(ANSIBLE / "playbooks" / PLAYBOOK),
            inventory=str(ANSIBLE / "inventory" / "terraform.py"),
            extravars=as_written(variables),
            envvars={
                "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
                "ANSIBLE_ROLES_PATH": str(ANSIBLE / "roles"),
                "ANSIBLE_SSH_ARGS": f"-F {shlex.quote(str(ssh_config))}",
                "ANSIBLE_LOCAL_TEMP": str(private / "tmp"),
                "ANSIBLE_HOME": str(private / "home"),
                "SCHEDLAB_TERRAFORM_OUTPUTS": str(outputs.resolve()),
            },
            cancel_callback=cancelled,
            # Ansible's own output goes to this job's log, task by task.
            quiet=False,
        )
    events = list(result.events)
    rows = task_timings(events)
    if gone:
        raise gone[0]
    if result.status == "successful":
        return rows
    failure = ansible_failure(events)
    # Ansible ended by a cancellation calls the hosts of the running task unreachable.
    if result.status in {"canceled", "timeout"}:
        task = task_at_work(events)
        raise SchedlabError(
            f"playbook {PLAYBOOK} did not end within {timeout:g} s (limits.configure)"
            + (f"; it was at task '{task}'" if task else ""),
            stage=STAGE,
        )
    if failure:
        raise SchedlabError(
            f"task '{failure.task}' failed: {failure.message}", stage=STAGE, node=failure.host
        )
    said = last_words(result.stdout.read())
    raise SchedlabError(f"playbook {PLAYBOOK} ended as {result.status}: {said}", stage=STAGE)


@contextlib.contextmanager
def no_child_left() -> Iterator[None]:
    """End the child processes of the context if an exception, such as a signal's, ends it.

    ansible-runner itself ends its ansible-playbook only when a callback tells it to cancel.
    """
    before = psutil.Process().children()
    try:
        yield
    except BaseException:
        for child in psutil.Process().children():
            if child not in before:
                ansible_runner.Runner.handle_termination(child.pid)
        raise


def rendered_file(head: Node, path: str) -> str:
    """Read a configuration file that the roles wrote.

    Raises
    ------
    SchedlabError
        When the file does not exist, or the head cannot be reached.
    """
    content = head.read(path)
    if content is None:
        raise SchedlabError(
            f"the playbook wrote no {path}",
            stage=STAGE,
            node=head.name,
            remedy="correct the role, or the adapter's configuration_files",
        )
    return content.decode()


def configure(context: Context, cluster_id: str) -> None:
    """Restore the provisioned cluster, run its playbook, check it, save it as configured."""
    cluster = context.experiment.cluster(cluster_id)
    scheduler = design.scheduler_of(cluster)
    before, folder = context.provisioned(cluster), context.configured(cluster_id)
    verify_outputs(before / RECORD)
    provisioned = load_record(before / RECORD)
    record = RecordWriter(
        STAGE,
        f"{cluster_id}/configured",
        CHECKOUT,
        context.results,
        parents={"provisioned": before / RECORD},
        inputs=stage_files("configure", scheduler=cluster.scheduler),
    )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    experiment = context.experiment
    hugepages = cluster.placement.hugepages
    with open_testbed(
        experiment.libvirt.uri, context.results, f"configure-{cluster_id}", hugepages=hugepages
    ) as testbed:
        restored = snapshot.restore(testbed, before / "snapshot")
        key = before / "secrets" / "id_ed25519"
        with connect(testbed.scratch, restored["nodes"], key) as nodes:
            alive = liveness(testbed, restored["cluster"], nodes, STAGE)
            wait_until_reachable(nodes, experiment.limits.boot, STAGE, alive=alive)
            addresses = {node["name"]: node["address"] for node in restored["nodes"]}
            # Secrets never enter a record, a log or a bundle.
            scheduler.make_secrets(secret_folder(folder / "secrets"), addresses)
            variables = scheduler.secret_variables(folder / "secrets")
            variables |= design.variables(cluster)
            timings = run_playbook(
                before / "terraform-outputs.json",
                testbed.scratch / "ssh.conf",
                variables,
                testbed.scratch,
                experiment.limits.configure,
                alive,
            )
            health_gate(scheduler, nodes, cluster, STAGE)
            offsets = clocks_agree(nodes, STAGE)
            tuned = tuning.read_back(nodes)
            facts = all_facts(nodes)
            head = head_of(nodes)
            rendered = {
                name: rendered_file(head, path)
                for name, path in scheduler.configuration_files().items()
            }
            # Pages that are not written yet must be on the disk before it is saved.
            for node in nodes.values():
                node.run("sync")
        memory = resident_mib(emulator_pids(list(cluster.machines()), testbed, restored["cluster"]))
        files = snapshot.save(
            testbed,
            restored["cluster"],
            restored["nodes"],
            restored["backing"],
            folder / "snapshot",
            reset=cluster.reset,
        )
    write_json(folder / "ansible-timings.json", timings)
    record.write(
        folder / RECORD,
        outputs=[*files, folder / "ansible-timings.json"],
        realised={
            **facts,
            "configuration": rendered,
            "tuning": tuned,
            "software": software(cluster, facts["packages"]),
        },
        clock={n: {"uncertainty_ns": o["uncertainty_ns"]} for n, o in offsets.items()},
        settings=design.cluster_spec(experiment, cluster_id),
        resident_mib=memory,
        tools={"ansible-core": version("ansible-core")},
        cluster=provisioned.get("cluster", {}),
    )


def software(cluster: Cluster, installed: Iterable[str]) -> dict[str, str]:
    """Versions of the packages that the roles of a cluster's scheduler ask for by name."""
    roles = [role for role in design.scheduler_of(cluster).roles if role != "common"]
    asked = role_parts(stated_files(roles, FAMILIES[cluster.image.os])).packages
    found = dict(line.split("=", 1) for line in installed)
    return {name: found[name] for name in asked if name in found}


def rerun_changes(context: Context, cluster_id: str) -> list[dict[str, Any]]:
    """Run the playbook again on the configured snapshot; return the tasks that changed anything.

    It shows whether a second run changes nothing. No result is saved.
    """
    cluster = context.experiment.cluster(cluster_id)
    scheduler = design.scheduler_of(cluster)
    before, folder = context.provisioned(cluster), context.configured(cluster_id)
    with open_testbed(
        context.experiment.libvirt.uri, context.results, f"again-{cluster_id}"
    ) as testbed:
        restored = snapshot.restore(testbed, folder / "snapshot")
        key = before / "secrets" / "id_ed25519"
        with connect(testbed.scratch, restored["nodes"], key) as nodes:
            wait_until_reachable(nodes, 120, STAGE)
            rows = run_playbook(
                before / "terraform-outputs.json",
                testbed.scratch / "ssh.conf",
                {
                    **scheduler.secret_variables(folder / "secrets"),
                    **design.variables(cluster),
                },
                testbed.scratch,
                context.experiment.limits.configure,
            )
    return [row for row in rows if row["changed"]]
