"""Clusters: each stage saves a snapshot of the whole running cluster as files.

Clusters of equal machines are configured from one provisioned snapshot.

REQUIRED INPUTS: a scheduler's image, the Terraform module, the playbook and its roles; for a cluster with a lifted limit the decisions on its searches
OUTPUTS: results/clusters/{machines}/provisioned/record.json, results/decisions/{cluster}/configured.record.json, results/clusters/{cluster}/configured/record.json (snapshots beside them)
"""


rule provision:
    """Create the virtual machines with Terraform, compare them with what was declared, save them."""
    input:
        accelerator=at(paths.ACCELERATOR),
        image=lambda wildcards: pipeline.image_record(wildcards.machines),
        toolchain=at(paths.TOOLCHAIN),
    output:
        at(paths.cluster_record("{machines}", "provisioned")),
    log:
        at("logs/clusters/{machines}-provision.log"),
    benchmark:
        at("benchmarks/clusters/{machines}-provision.tsv")
    priority: BEFORE_TRIALS
    conda:
        "../../envs/conda.yaml"
    resources:
        testbed=1,
    params:
        sources=lambda wildcards: pipeline.sources("provision", wildcards),
        spec=lambda wildcards: pipeline.spec("provision", wildcards.machines),
        machines=lambda wildcards: pipeline.spec("machines", wildcards.machines),
    message:
        "Provisioning {wildcards.machines}"
    shell:
        "schedlab provision --machines {wildcards.machines} 2>&1 | schedlab log {log:q}"


rule cluster_decision:
    """Decide whether a cluster with a lifted limit is configured, by the decisions on its searches."""
    input:
        lambda wildcards: pipeline.decisions.before_cluster(wildcards.cluster),
    output:
        at(paths.cluster_decision_record("{cluster}")),
    log:
        at("logs/decisions/{cluster}.log"),
    wildcard_constraints:
        # Those of clusters that are there are made by no rule.
        cluster=pipeline.one_of(pipeline.decisions.due_clusters),
    priority: BEFORE_TRIALS
    conda:
        "../../envs/conda.yaml"
    # It starts no machine, but would take processor time from a trial beside it.
    resources:
        testbed=1,
    params:
        sources=lambda wildcards: pipeline.sources("decision", wildcards),
    message:
        "Deciding on the cluster {wildcards.cluster}"
    shell:
        "schedlab decision --cluster {wildcards.cluster} 2>&1 | schedlab log {log:q}"


rule configure:
    """Restore the provisioned cluster, run its playbook, check its health, save it."""
    input:
        provisioned=lambda wildcards: pipeline.provisioned_record(wildcards.cluster),
        decision=lambda wildcards: pipeline.decisions.of_cluster(wildcards.cluster),
    output:
        at(paths.cluster_record("{cluster}", "configured")),
    log:
        at("logs/clusters/{cluster}-configure.log"),
    benchmark:
        at("benchmarks/clusters/{cluster}-configure.tsv")
    priority: BEFORE_TRIALS
    conda:
        "../../envs/conda.yaml"
    resources:
        testbed=1,
    params:
        sources=lambda wildcards: pipeline.sources("configure", wildcards),
        settings=lambda wildcards: pipeline.settings(wildcards.cluster),
    message:
        "Configuring {wildcards.cluster}"
    shell:
        "schedlab configure --cluster {wildcards.cluster} 2>&1 | schedlab log {log:q}"
