"""Trials: every cluster runs the same traces, and each trial starts from the same snapshot.

REQUIRED INPUTS: configured snapshots, workload section of the configuration
OUTPUTS: results/traces/*.json with a record each, results/decisions/{cluster}/{workload}/{repetition}.record.json, results/trials/{cluster}/{workload}/{repetition}/record.json
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
    priority: BEFORE_TRIALS
    conda:
        "../../envs/conda.yaml"
    # It starts no machine, but would take processor time from a trial beside it.
    resources:
        testbed=1,
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


rule decision:
    """Decide whether a trial above the fewest runs, by the trials of its cell before it."""
    input:
        lambda wildcards: pipeline.decisions.before(wildcards),
    output:
        at(paths.decision_record("{cluster}", "{workload}", "{repetition}")),
    log:
        at("logs/decisions/{cluster}.{workload}.{repetition}.log"),
    wildcard_constraints:
        # Those of trials that ran are made by no rule.
        cluster=pipeline.decisions.due() + "[^/]+",
    priority: lambda wildcards: pipeline.priority(wildcards) + 1
    conda:
        "../../envs/conda.yaml"
    # It starts no machine, but would take processor time from a trial beside it.
    resources:
        testbed=1,
    params:
        sources=lambda wildcards: pipeline.sources("decision", wildcards),
        spec=lambda wildcards: pipeline.spec("decision", wildcards.workload),
    message:
        "Deciding on trial {wildcards.cluster}.{wildcards.workload}.{wildcards.repetition}"
    shell:
        "schedlab decision --cluster {wildcards.cluster} --workload {wildcards.workload}"
        " --repetition {wildcards.repetition} 2>&1 | schedlab log {log:q}"


rule trial:
    """Run one trial. All trials together run in a seeded random order."""
    input:
        configured=at(paths.cluster_record("{cluster}", "configured")),
        trace=lambda wildcards: pipeline.trace_record(wildcards),
        toolchain=at(paths.TOOLCHAIN),
        decision=lambda wildcards: pipeline.decisions.of_trial(wildcards),
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
        bridge=lambda wildcards: pipeline.bridge(wildcards),
    message:
        "Trial {wildcards.cluster}.{wildcards.workload}.{wildcards.repetition}"
    shell:
        "schedlab trial --cluster {wildcards.cluster} --workload {wildcards.workload}"
        " --repetition {wildcards.repetition} {params.bridge} 2>&1 | schedlab log --notices {log:q}"
