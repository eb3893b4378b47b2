"""The bundle: one file with the results and everything they are made from, to share.

REQUIRED INPUTS: the report and its inputs, the checkout at its commit
OUTPUTS: results/bundle.tar.zst
"""


rule bundle:
    """Pack the results. `--config include=blocks,images` adds large parts that are left out."""
    input:
        report=at(paths.REPORT),
        experiment=at(paths.EXPERIMENTS),
        products=pipeline.products(),
        records=pipeline.all_records(),
        imported=pipeline.imported(),
    output:
        at(paths.BUNDLE),
    log:
        at("logs/bundle.log"),
    conda:
        "../../envs/conda.yaml"
    params:
        sources=pipeline.sources("bundle"),
        include=pipeline.include(config.get("include") or ""),
        source=lambda wildcards: pipeline.source_state(),
    message:
        "Packing {output}"
    shell:
        "schedlab bundle --output {output:q} {params.include}"
        " 2>&1 | schedlab log --show {log:q}"
