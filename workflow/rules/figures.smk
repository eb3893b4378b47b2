"""Figures: one SVG a figure, from the tables alone.

REQUIRED INPUTS: results/tables/*.parquet
OUTPUTS: results/figures/{figure}.svg
"""


rule figure:
    """Draw one figure."""
    input:
        lambda wildcards: pipeline.sources("figure", figure=wildcards.figure),
        jobs=f"{RESULTS}/tables/jobs.parquet",
        samples=f"{RESULTS}/tables/samples.parquet",
        trials=f"{RESULTS}/tables/trials.parquet",
    output:
        f"{RESULTS}/figures/{{figure}}.svg",
    log:
        f"{RESULTS}/logs/figures/{{figure}}.log",
    conda:
        "../../envs/conda.yaml"
    message:
        "Drawing {wildcards.figure}"
    shell:
        "schedlab figure --figure {wildcards.figure} 2>&1 | schedlab log {log:q}"
