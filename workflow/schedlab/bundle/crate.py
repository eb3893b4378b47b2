"""RO-Crate metadata of a bundle, in the Provenance Run Crate profile (a Workflow Run Crate).

The workflow is the Snakefile. Each stage is a step of it and has a tool. Each record of a stage
becomes one action. All trials of a cluster become one action, whose result is the folder with
their records: so the metadata do not grow with the number of trials.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from schedlab.bundle.executions import DESCRIPTIONS, STEPS, Execution, with_analysis
from schedlab.citation import author_names
from schedlab.paths import (
    EXPERIMENTS,
    FIGURES,
    PACKED_SOURCE,
    REPORT,
    RESULTS,
    TABLES,
    figure_file,
)

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
WORKFLOW = f"{PACKED_SOURCE}/Snakefile"
FORMATS = {
    "json": "application/json",
    "jsonl": "application/jsonl",
    "yaml": "application/yaml",
    "html": "text/html",
    "svg": "image/svg+xml",
    "cff": "application/yaml",
    WORKFLOW: "text/x-python",
}
TERMS = "https://w3id.org/ro/terms/workflow-run#"


class _Crate:
    """Collects the entities of the metadata."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.crate = ROCrate(version="1.1")
        # Defined here, so that readers need not fetch a further context.
        self.crate.metadata.extra_terms["sha256"] = f"{TERMS}sha256"

    def context(self, key: str, kind: str, **properties: Any) -> Entity:
        entity: Entity = self.crate.add(
            ContextEntity(self.crate, key, properties={"@type": kind, **properties})
        )
        return entity

    def file(self, path: str, **properties: Any) -> Entity:
        properties.setdefault(
            "encodingFormat", FORMATS.get(path) or FORMATS[path.rpartition(".")[2]]
        )
        entity: Entity = self.crate.add_file(dest_path=path, properties=properties)
        return entity

    def folder(self, path: str, **properties: Any) -> Entity:
        entity: Entity = self.crate.add_dataset(dest_path=path, properties=properties)
        return entity


def metadata(
    *,
    name: str,
    date: str,
    citation: Mapping[str, Any],
    commit: str,
    executions: Iterable[Execution],
    figures: Iterable[str],
) -> bytes:
    """Return the RO-Crate metadata of a bundle. The same results give the same bytes.

    Parameters
    ----------
    name : str
        Name of the experiment.
    date : str
        Date of the newest record, ISO 8601.
    citation : mapping
        Content of CITATION.cff.
    commit : str
        Commit of the source.
    executions : iterable of Execution
        Executions of the stages that have a record, in order.
    figures : iterable of str
        Names of the figures.
    """
    crate = _Crate()
    root = crate.crate.root_dataset
    version = str(citation["version"])
    licence = crate.context(
        f"https://spdx.org/licenses/{citation['license']}",
        "CreativeWork",
        name=str(citation["license"]),
    )
    profiles = [
        crate.context(url, "CreativeWork", name=title, version=url.rpartition("/")[2])
        for url, title in PROFILES.items()
    ]
    authors = [
        crate.context(f"#author-{number}", "Organization", name=author)
        for number, author in enumerate(author_names(dict(citation)), 1)
    ]
    inputs, outputs = _parameters(crate)
    workflow = _workflow(crate, version, commit, licence, authors, inputs, outputs)
    done = list(executions)
    runs = with_analysis(done, date)
    steps = _steps(crate, workflow, {run.step for run in runs})
    given = [
        crate.file(
            f"{RESULTS}/{EXPERIMENTS}",
            name="The experiment",
            exampleOfWork=_one(inputs),
        )
    ]
    given.append(crate.folder(f"{RESULTS}/traces/", name="Traces of the workloads"))
    made = _products(crate, figures, outputs)
    actions, controls = [], []
    for number, run in enumerate(runs, 1):
        step, tool = steps[run.step]
        action = crate.context(
            f"#run-{number}",
            "CreateAction",
            name=run.title,
            description=f"The stage {run.step} {DESCRIPTIONS[run.step]}.",
            instrument=tool,
            startTime=run.start,
            endTime=run.end,
            actionStatus="http://schema.org/CompletedActionStatus",
            result=_results(crate, run),
        )
        actions.append(action)
        controls.append(
            crate.context(
                f"#control-{number}",
                "ControlAction",
                name=f"Start of {run.title}",
                instrument=step,
                object=action,
            )
        )
    whole = crate.context(
        "#run",
        "CreateAction",
        name=f"The experiment {name}",
        description="All stages, in the order that Snakemake found.",
        instrument=workflow,
        startTime=min((entry.start for entry in done), default=date),
        endTime=max((entry.end for entry in done), default=date),
        actionStatus="http://schema.org/CompletedActionStatus",
        object=given,
        result=made,
    )
    engine = crate.context(
        "#snakemake", "SoftwareApplication", name="Snakemake", url="https://snakemake.github.io"
    )
    crate.context(
        "#organize",
        "OrganizeAction",
        name=f"Snakemake runs the experiment {name}",
        instrument=engine,
        object=controls,
        result=whole,
    )
    for path, title in (("source/", "The source"), ("CITATION.cff", "How to cite schedlab")):
        (crate.folder if path.endswith("/") else crate.file)(path, name=title)
    crate.file(".zenodo.json", name="Metadata for Zenodo")
    crate.file("manifest.jsonl", name="Path, size and SHA-256 of every other file")
    crate.file("bundle.json", name="Form of the bundle")
    root["name"] = f"Results of the experiment {name}, made with schedlab {version}"
    root["description"] = " ".join(str(citation.get("abstract") or citation["title"]).split())
    root["datePublished"] = date
    root["license"] = licence
    root["conformsTo"] = profiles
    root["author"] = _one(authors)
    root["mainEntity"] = workflow
    root["mentions"] = [whole, *actions]
    crate.crate.metadata["conformsTo"] = [
        {"@id": "https://w3id.org/ro/crate/1.1"},
        {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"},
    ]
    content = crate.crate.metadata.generate()
    return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"


def _one(entities: list[Entity]) -> Entity | list[Entity]:
    """Return a list of one entity as that entity, as RO-Crate demands."""
    return entities[0] if len(entities) == 1 else entities


def _parameters(crate: _Crate) -> tuple[list[Entity], list[Entity]]:
    """Add the formal parameters: the experiment as input, report and tables as outputs."""

    def parameter(identifier: str, kind: str, title: str) -> Entity:
        return crate.context(
            f"#parameter-{identifier}",
            "FormalParameter",
            name=title,
            additionalType=kind,
            conformsTo={"@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"},
            valueRequired=True,
        )

    return (
        [parameter("experiment", "File", "experiment")],
        [parameter("report", "File", "report"), parameter("tables", "Dataset", "tables")],
    )


def _workflow(
    crate: _Crate,
    version: str,
    commit: str,
    licence: Entity,
    authors: list[Entity],
    inputs: list[Entity],
    outputs: list[Entity],
) -> Entity:
    language = crate.context(
        "https://w3id.org/workflowhub/workflow-ro-crate#snakemake",
        "ComputerLanguage",
        name="Snakemake",
        identifier={"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
        url={"@id": "https://snakemake.github.io"},
    )
    return crate.file(
        WORKFLOW,
        **{
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "name": "schedlab",
            "version": f"{version}, commit {commit}",
            "programmingLanguage": language,
            "license": licence,
            "author": _one(authors),
            "input": _one(inputs),
            "output": outputs,
            "conformsTo": {
                "@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
            },
        },
    )


def _steps(crate: _Crate, workflow: Entity, used: set[str]) -> dict[str, tuple[Entity, Entity]]:
    """Add the steps that ran, each with its tool, to the workflow."""
    steps = {}
    for position, step in enumerate(step for step in STEPS if step.name in used):
        tool = crate.context(
            f"#tool-{step.name}",
            "SoftwareApplication",
            name=f"schedlab {step.name}",
            description=step.description,
        )
        howto = crate.context(
            f"#step-{step.name}",
            "HowToStep",
            name=step.name,
            position=position,
            workExample=tool,
        )
        steps[step.name] = (howto, tool)
    workflow["hasPart"] = [tool for _, tool in steps.values()]
    workflow["step"] = [howto for howto, _ in steps.values()]
    return steps


def _products(crate: _Crate, figures: Iterable[str], outputs: list[Entity]) -> list[Entity]:
    report, tables = outputs
    made = [
        crate.file(
            f"{RESULTS}/{REPORT}",
            name="The report",
            exampleOfWork=report,
        ),
        crate.folder(f"{RESULTS}/{TABLES}/", name="Tables", exampleOfWork=tables),
        crate.folder(f"{RESULTS}/{FIGURES}/", name="Figures"),
    ]
    made += [crate.file(f"{RESULTS}/{figure_file(name)}", name=name) for name in figures]
    return made


def _results(crate: _Crate, run: Execution) -> Entity:
    known = crate.crate.dereference(run.result)
    if known is not None:
        return known
    add = crate.folder if run.result.endswith("/") else crate.file
    return add(run.result, name=run.title)
