"""Trials: every cluster runs the same traces, and each trial starts from the same snapshot.

REQUIRED INPUTS: configured snapshots, workload section of the configuration
OUTPUTS: results/traces/*.json with a record each, results/trials/{cluster}/{workload}/{repetition}/record.json
"""


rule trace:
    """Make a workload's neutral trace, from a seed or a file, for a machine and repetition."""
    input:
        lambda wildcards: pipeline.workload_files(wildcards.workload),
    output:
        trace=at(paths.trace_file("{workload}", "{nodes}", "{repetition}")),
        record=at(paths.trace_record("{workload}", "{nodes}", "{repetition}")),
    log:
        at("logs/traces/{workload}-n{nodes}-r{repetition}.log"),
    conda:
        "../../envs/conda.yaml"
    params:
        sources=lambda wildcards: pipeline.sources("trace", wildcards),
        spec=lambda wildcards: pipeline.spec("workload", wildcards.workload),
        machine=lambda wildcards: pipeline.spec("machine", wildcards.nodes),
        trace_seed=lambda wildcards: pipeline.trace_seed(wildcards),
    message:
        "Writing the trace {wildcards.workload}, {wildcards.nodes} nodes, repetition {wildcards.repetition}"
    shell:
        "schedlab trace-workload --workload {wildcards.workload}"
        " --nodes {wildcards.nodes} --repetition {wildcards.repetition}"
        " --output {output.trace:q} 2>&1 | schedlab log {log:q}"


rule trial:
    """Run one trial. All trials together run in a seeded random order."""
    input:
        configured=at(paths.cluster_record("{cluster}", "configured")),
        trace=lambda wildcards: pipeline.trace_record(wildcards),
        toolchain=at(paths.TOOLCHAIN),
    output:
        at(paths.trial_record("{cluster}", "{workload}", "{repetition}")),
    log:
        at("logs/trials/{cluster}.{workload}.{repetition}.log"),
    priority: lambda wildcards: pipeline.priority(wildcards)
    conda:
        "../../envs/conda.yaml"
    resources:
        testbed=1,
    params:
        sources=lambda wildcards: pipeline.sources("trial", wildcards),
        spec=lambda wildcards: pipeline.trial_spec(wildcards),
    message:
        "Trial {wildcards.cluster}.{wildcards.workload}.{wildcards.repetition}"
    shell:
        "schedlab trial --cluster {wildcards.cluster} --workload {wildcards.workload}"
        " --repetition {wildcards.repetition} 2>&1 | schedlab log --notices {log:q}"
