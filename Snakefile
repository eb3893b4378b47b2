"""All rules from the sources to results/report.html; one file for each stage, in order."""

from snakemake.utils import min_version

from schedlab import paths
from schedlab.snakefile import Pipeline

# The first version in which the priority of a rule may be a function.
min_version("9.27")

# `--config experiments=FILE results=FOLDER` selects another experiment and another results folder.
pipeline = Pipeline.start(config, workflow.configfiles, workflow.basedir)
at = pipeline.at
# Priority of the jobs before the trials. They run before the first trial, so that trials of all
# clusters interleave, and nothing is built while a trial runs. Clusters with a lifted limit are
# configured between trials, as soon as it is known that they are needed.
BEFORE_TRIALS = 1000000


# Jobs read these variables. They are not parameters of rules, so that moving the results makes no
# job stale.
envvars:
    "SCHEDLAB_CAMPAIGN",
    "SCHEDLAB_EXPERIMENTS",
    "SCHEDLAB_RESULTS",


# Names that the experiment has; Snakemake says of a target with another one that no rule makes it.
wildcard_constraints:
    image=pipeline.one_of(pipeline.images()),
    machines=pipeline.one_of(pipeline.machines),
    cluster=pipeline.one_of(pipeline.clusters),
    workload=pipeline.one_of(
        workload.name for workload in pipeline.experiment.workloads
    ),
    nodes="[0-9]+(x[0-9]+)?",
    repetition="[0-9]+",
    figure="[a-z_]+",


include: "workflow/rules/toolchain.smk"
include: "workflow/rules/images.smk"
include: "workflow/rules/clusters.smk"
include: "workflow/rules/trials.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/bundle.smk"


rule all:
    """Everything: the report and the files it is made from."""
    default_target: True
    input:
        at(paths.REPORT),
        # Named here, because a trial whose forced repetition was interrupted is missing, and the
        # report alone would not make Snakemake run it again.
        pipeline.all_records(),
        pipeline.products(),


# Stopping points, for a person who wants to deploy, benchmark and collect separately.
rule all_images:
    """Every image."""
    input:
        expand(
            at(paths.image_record("{image}", "image")),
            image=pipeline.images(),
        ),


rule all_provisioned:
    """Every cluster, created and saved."""
    input:
        pipeline.cluster_records("provisioned"),


rule all_configured:
    """Every cluster, with its scheduler running, saved; those with a lifted limit come later."""
    input:
        pipeline.first_configured(),


rule all_trials:
    """Every trial."""
    input:
        pipeline.trial_records(),


onstart:
    pipeline.begin()


onsuccess:
    pipeline.summarise()


onerror:
    pipeline.keep_state()
