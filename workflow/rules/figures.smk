"""Figures: one SVG for each figure, drawn from the tables alone.

REQUIRED INPUTS: results/tables/record.json (with the tables beside it)
OUTPUTS: results/figures/{figure}.svg, results/figures/{figure}.record.json
"""


rule figure:
    """Draw one figure."""
    input:
        tables=at(paths.TABLES_RECORD),
    output:
        at(paths.figure_file("{figure}")),
        record=at(paths.figure_record("{figure}")),
    log:
        at("logs/figures/{figure}.log"),
    conda:
        "../../envs/conda.yaml"
    params:
        sources=lambda wildcards: pipeline.sources("figure", wildcards),
    message:
        "Drawing {wildcards.figure}"
    shell:
        "schedlab figure --figure {wildcards.figure} 2>&1 | schedlab log {log:q}"
