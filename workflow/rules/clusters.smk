"""Clusters, as files: each stage ends in a snapshot of the whole running cluster.

REQUIRED INPUTS: a scheduler's image, the Terraform module, the playbook and its roles
OUTPUTS: results/clusters/{cluster}/{provisioned,configured}/record.json (snapshots beside them)
"""


rule provision:
    """Create the virtual machines with Terraform, compare them with what was declared, save them."""
    input:
        accelerator=at(paths.ACCELERATOR),
        image=lambda wildcards: pipeline.image_record(wildcards.cluster),
        toolchain=at(paths.TOOLCHAIN),
    output:
        at(paths.cluster_record("{cluster}", "provisioned")),
    log:
        at("logs/clusters/{cluster}-provision.log"),
    benchmark:
        at("benchmarks/clusters/{cluster}-provision.tsv")
    priority: BEFORE_TRIALS
    conda:
        "../../envs/conda.yaml"
    resources:
        testbed=1,
    params:
        sources=lambda wildcards: pipeline.sources("provision", wildcards),
        spec=lambda wildcards: pipeline.spec("cluster", wildcards.cluster),
        machines=lambda wildcards: pipeline.spec("machines", wildcards.cluster),
    message:
        "Provisioning {wildcards.cluster}"
    shell:
        "schedlab provision --cluster {wildcards.cluster} 2>&1 | schedlab log {log:q}"


rule configure:
    """Restore the provisioned cluster, run its playbook, prove it healthy, save it."""
    input:
        provisioned=at(paths.cluster_record("{cluster}", "provisioned")),
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
