"""Disks that virtual machines start from.

REQUIRED INPUTS: image section of the configuration, Packer template, roles, guest programs
OUTPUTS: results/images/{image}/{base,image}/record.json (disks beside them), results/accelerator.json
"""


rule base_disk:
    """Build a bootable base disk with mmdebstrap, or take a cloud image by URL and digest."""
    input:
        pipeline.sources("base"),
        lambda wildcards: pipeline.role_files(wildcards.image),
    output:
        f"{RESULTS}/images/{{image}}/base/record.json",
    log:
        f"{RESULTS}/logs/images/{{image}}-base.log",
    benchmark:
        f"{RESULTS}/benchmarks/images/{{image}}-base.tsv"
    priority: BEFORE_TRIALS
    conda:
        "../../envs/conda.yaml"
    params:
        spec=lambda wildcards: pipeline.spec("image", wildcards.image),
    message:
        "Building the base disk for {wildcards.image}"
    shell:
        "schedlab base --image {wildcards.image} 2>&1 | schedlab log {log:q}"


rule accelerator:
    """Find out, by booting a kernel, whether hardware virtualisation works here."""
    input:
        pipeline.sources("accelerator"),
        base=f"{RESULTS}/images/{pipeline.images()[0]}/base/record.json",
    output:
        f"{RESULTS}/accelerator.json",
    log:
        f"{RESULTS}/logs/accelerator.log",
    conda:
        "../../envs/conda.yaml"
    params:
        requested=pipeline.experiment.accelerator,
    message:
        "Probing the accelerator"
    shell:
        "schedlab accelerator 2>&1 | schedlab log --show {log:q}"


rule programs:
    """Build the programs of an image that no distribution packages, on the host."""
    input:
        lambda wildcards: pipeline.program_sources(wildcards.image),
    output:
        f"{RESULTS}/images/{{image}}/programs/record.json",
    log:
        f"{RESULTS}/logs/images/{{image}}-programs.log",
    priority: BEFORE_TRIALS
    conda:
        "../../envs/conda.yaml"
    resources:
        # A build uses every core: beside trials of a cluster that is ready, it would be measured.
        testbed=1,
    message:
        "Building programs for the image {wildcards.image}"
    shell:
        "schedlab programs --image {wildcards.image} 2>&1 | schedlab log {log:q}"


rule image:
    """Build an image on its base disk with Packer and Ansible, and verify it."""
    input:
        lambda wildcards: pipeline.image_sources(wildcards.image),
        base=f"{RESULTS}/images/{{image}}/base/record.json",
        programs=lambda wildcards: pipeline.programs_record(wildcards.image),
        accelerator=f"{RESULTS}/accelerator.json",
        toolchain=f"{RESULTS}/toolchain.json",
    output:
        f"{RESULTS}/images/{{image}}/image/record.json",
    log:
        f"{RESULTS}/logs/images/{{image}}-image.log",
    benchmark:
        f"{RESULTS}/benchmarks/images/{{image}}-image.tsv"
    priority: BEFORE_TRIALS
    conda:
        "../../envs/conda.yaml"
    resources:
        testbed=1,
    message:
        "Building the image for {wildcards.image}"
    shell:
        "schedlab image --image {wildcards.image} 2>&1 | schedlab log {log:q}"
