"""Tools of the workflow: found on the machine, or built from pinned Go modules into the cache.

REQUIRED INPUTS: go.mod and go.sum of the tools in envs/toolchain (build.HOST_TOOLS)
OUTPUTS: results/toolchain.json (name, version and digest of every tool)
"""


rule toolchain:
    """Find or build Terraform, its libvirt provider, Packer, its QEMU plugin, Prometheus."""
    input:
        pipeline.sources("toolchain"),
    output:
        f"{RESULTS}/toolchain.json",
    log:
        f"{RESULTS}/logs/toolchain.log",
    conda:
        "../../envs/conda.yaml"
    message:
        "Finding or building the toolchain"
    shell:
        "schedlab toolchain --output {output:q} 2>&1 | schedlab log {log:q}"
