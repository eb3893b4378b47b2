"""Figures: one SVG a figure, from the tables alone.

REQUIRED INPUTS: results/tables/record.json (the tables beside it)
OUTPUTS: results/figures/{figure}.svg, results/figures/{figure}.record.json
"""


rule figure:
    """Draw one figure."""
    input:
        lambda wildcards: pipeline.sources("figure", figure=wildcards.figure),
        tables=f"{RESULTS}/tables/record.json",
    output:
        f"{RESULTS}/figures/{{figure}}.svg",
        record=f"{RESULTS}/figures/{{figure}}.record.json",
    log:
        f"{RESULTS}/logs/figures/{{figure}}.log",
    conda:
        "../../envs/conda.yaml"
    message:
        "Drawing {wildcards.figure}"
    shell:
        "schedlab figure --figure {wildcards.figure} 2>&1 | schedlab log {log:q}"
