"""Disks that virtual machines start from.

REQUIRED INPUTS: image section of the configuration, Packer template, roles, guest programs
OUTPUTS: results/images/{image}/{base,image}/record.json (disks beside them), results/accelerator.json
"""


rule base_disk:
    """Build a bootable base disk with mmdebstrap, or take a cloud image by URL and digest."""
    output:
        at(paths.image_record("{image}", "base")),
    log:
        at("logs/images/{image}-base.log"),
    benchmark:
        at("benchmarks/images/{image}-base.tsv")
    priority: BEFORE_TRIALS
    conda:
        "../../envs/conda.yaml"
    # It starts no cluster, but would take processor time from a trial beside it.
    resources:
        testbed=1,
    params:
        sources=lambda wildcards: pipeline.sources("base", wildcards),
        spec=lambda wildcards: pipeline.spec("image", wildcards.image),
    message:
        "Building the base disk for {wildcards.image}"
    shell:
        "schedlab base --image {wildcards.image} 2>&1 | schedlab log {log:q}"


rule accelerator:
    """Boot a kernel to find out whether hardware virtualisation works on this machine."""
    input:
        base=at(paths.image_record(pipeline.images()[0], "base")),
    output:
        at(paths.ACCELERATOR),
    log:
        at("logs/accelerator.log"),
    conda:
        "../../envs/conda.yaml"
    params:
        sources=pipeline.sources("accelerator"),
        requested=pipeline.experiment.accelerator,
    message:
        "Probing the accelerator"
    shell:
        "schedlab accelerator 2>&1 | schedlab log --notices {log:q}"


rule programs:
    """Build the programs of an image that no distribution packages, on the host."""
    output:
        at(paths.image_record("{image}", "programs")),
    log:
        at("logs/images/{image}-programs.log"),
    priority: BEFORE_TRIALS
    conda:
        "../../envs/conda.yaml"
    resources:
        # A build uses every core, so it would disturb trials that run at the same time.
        testbed=1,
    params:
        sources=lambda wildcards: pipeline.sources("programs", wildcards),
        installation=lambda wildcards: pipeline.installation(wildcards.image),
    message:
        "Building programs for the image {wildcards.image}"
    shell:
        "schedlab programs --image {wildcards.image} 2>&1 | schedlab log {log:q}"


rule image:
    """Build an image on its base disk with Packer and Ansible, and verify it."""
    input:
        base=at(paths.image_record("{image}", "base")),
        programs=lambda wildcards: pipeline.programs_record(wildcards.image),
        accelerator=at(paths.ACCELERATOR),
        toolchain=at(paths.TOOLCHAIN),
    output:
        at(paths.image_record("{image}", "image")),
    log:
        at("logs/images/{image}-image.log"),
    benchmark:
        at("benchmarks/images/{image}-image.tsv")
    priority: BEFORE_TRIALS
    conda:
        "../../envs/conda.yaml"
    resources:
        testbed=1,
    params:
        sources=lambda wildcards: pipeline.sources("image", wildcards),
        roles=lambda wildcards: pipeline.roles(wildcards.image),
    message:
        "Building the image for {wildcards.image}"
    shell:
        "schedlab image --image {wildcards.image} 2>&1 | schedlab log {log:q}"
