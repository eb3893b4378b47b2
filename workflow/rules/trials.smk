"""Trials: the same trace on every cluster, each from the same saved bytes.

REQUIRED INPUTS: configured snapshots, workload section of the configuration
OUTPUTS: results/traces/*.json with a record each, results/trials/{cluster}/{workload}/{repetition}/record.json
"""


rule trace:
    """Generate or cut the neutral trace of a workload for a node count and repetition."""
    input:
        pipeline.sources("trace"),
        lambda wildcards: pipeline.workload_files(wildcards.workload),
    output:
        trace=f"{RESULTS}/traces/{{workload}}-n{{nodes}}-r{{repetition}}.json",
        record=f"{RESULTS}/traces/{{workload}}-n{{nodes}}-r{{repetition}}.record.json",
    log:
        f"{RESULTS}/logs/traces/{{workload}}-n{{nodes}}-r{{repetition}}.log",
    conda:
        "../../envs/conda.yaml"
    params:
        spec=lambda wildcards: pipeline.spec("workload", wildcards.workload),
        machine=pipeline.spec("machine"),
    message:
        "Writing the trace {wildcards.workload} for {wildcards.nodes} nodes"
    shell:
        "schedlab trace-workload --workload {wildcards.workload}"
        " --nodes {wildcards.nodes} --repetition {wildcards.repetition}"
        " --output {output.trace:q} 2>&1 | schedlab log {log:q}"


# One rule a trial, because a rule has one priority: they run in a seeded random order over all
# clusters, workloads and repetitions, as an experiment should.
for order, key in enumerate(pipeline.experiment.trials()):

    rule:
        name:
            f"trial_{key.id}"
        input:
            pipeline.trial_sources(key.cluster),
            configured=f"{RESULTS}/clusters/{key.cluster}/configured/record.json",
            trace=f"{RESULTS}/traces/{key.workload}-n{pipeline.cluster(key.cluster).nodes}-r{key.repetition}.record.json",
            toolchain=f"{RESULTS}/toolchain.json",
        output:
            f"{RESULTS}/trials/{key.cluster}/{key.workload}/{key.repetition}/record.json",
        log:
            f"{RESULTS}/logs/trials/{key.id}.log",
        priority: 1 + len(pipeline.experiment.trials()) - order
        conda:
            "../../envs/conda.yaml"
        resources:
            testbed=1,
        params:
            spec=pipeline.spec("trial", key),
            key=f"--cluster {key.cluster} --workload {key.workload} --repetition {key.repetition}",
        message:
            f"Trial {key.id}"
        shell:
            "schedlab trial {params.key} 2>&1 | schedlab log --show {log:q}"
