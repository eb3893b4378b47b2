"""Clusters, as files: each stage ends in a snapshot of the whole running cluster.

REQUIRED INPUTS: a scheduler's image, the Terraform module, the playbook and its roles
OUTPUTS: results/clusters/{cluster}/{provisioned,configured}/record.json (snapshots beside them)
"""


rule provision:
    """Create the virtual machines with Terraform, compare them with what was declared, save them."""
    input:
        pipeline.sources("provision"),
        accelerator=f"{RESULTS}/accelerator.json",
        image=lambda wildcards: pipeline.image_record(wildcards.cluster),
        toolchain=f"{RESULTS}/toolchain.json",
    output:
        f"{RESULTS}/clusters/{{cluster}}/provisioned/record.json",
    log:
        f"{RESULTS}/logs/clusters/{{cluster}}-provision.log",
    benchmark:
        f"{RESULTS}/benchmarks/clusters/{{cluster}}-provision.tsv"
    priority: BEFORE_TRIALS
    conda:
        "../../envs/conda.yaml"
    resources:
        testbed=1,
    params:
        spec=lambda wildcards: pipeline.spec("cluster", wildcards.cluster),
    message:
        "Provisioning {wildcards.cluster}"
    shell:
        "schedlab provision --cluster {wildcards.cluster} 2>&1 | schedlab log {log:q}"


rule configure:
    """Restore the provisioned cluster, run its playbook, prove it healthy, save it."""
    input:
        lambda wildcards: pipeline.configure_sources(wildcards.cluster),
        provisioned=f"{RESULTS}/clusters/{{cluster}}/provisioned/record.json",
    output:
        f"{RESULTS}/clusters/{{cluster}}/configured/record.json",
    log:
        f"{RESULTS}/logs/clusters/{{cluster}}-configure.log",
    benchmark:
        f"{RESULTS}/benchmarks/clusters/{{cluster}}-configure.tsv"
    priority: BEFORE_TRIALS
    conda:
        "../../envs/conda.yaml"
    resources:
        testbed=1,
    params:
        settings=lambda wildcards: pipeline.settings(wildcards.cluster),
    message:
        "Configuring {wildcards.cluster}"
    shell:
        "schedlab configure --cluster {wildcards.cluster} 2>&1 | schedlab log {log:q}"
