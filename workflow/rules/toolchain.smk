"""Tools of the workflow: found on the machine, or built from pinned Go modules into the cache.

REQUIRED INPUTS: none; the pinned versions in envs/toolchain are sources
OUTPUTS: results/toolchain.json (name, version and digest of every tool)
"""


rule toolchain:
    """Find or build Terraform, its libvirt provider, Packer, its QEMU plugin, Prometheus."""
    output:
        at(paths.TOOLCHAIN),
    log:
        at("logs/toolchain.log"),
    conda:
        "../../envs/conda.yaml"
    params:
        sources=pipeline.sources("toolchain"),
    message:
        "Finding or building the toolchain"
    shell:
        "schedlab toolchain --output {output:q} 2>&1 | schedlab log {log:q}"
