"""The whole path from sources to results/report.html; one rule file a stage, in order."""

from snakemake.utils import min_version

from schedlab import paths
from schedlab.snakefile import Pipeline

# The first version in which the priority of a rule may be a function.
min_version("9.27")

# `--config experiments=FILE results=FOLDER` selects another sweep and another place for its results.
pipeline = Pipeline.start(config, workflow.configfiles, workflow.basedir)
at = pipeline.at
# Priority of what comes before the trials, so that those of all clusters interleave, and nothing
# is built beside them.
BEFORE_TRIALS = 1000000


# Jobs read them; they are no parameters, so that moving the results makes nothing stale.
envvars:
    "SCHEDLAB_CAMPAIGN",
    "SCHEDLAB_EXPERIMENTS",
    "SCHEDLAB_RESULTS",


wildcard_constraints:
    image="[a-z0-9]+(-[a-z0-9]+)?",
    machines="[a-z0-9-]+-n[0-9]+(-[0-9a-f]+)?(-c[0-9]+)?",
    cluster="[a-z0-9-]+-n[0-9]+(-c[0-9]+)?",
    workload="[a-z0-9-]+",
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
    """Everything: the report and what it is made from."""
    default_target: True
    input:
        at(paths.REPORT),
        # By name: a trial whose forced repetition was interrupted is missing, not stale.
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
    """Every cluster, with its scheduler at work, saved."""
    input:
        pipeline.cluster_records("configured"),


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
