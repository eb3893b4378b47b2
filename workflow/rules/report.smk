"""The report: one self-contained HTML file.

REQUIRED INPUTS: tables, figures, the records of every stage
OUTPUTS: results/report.html
"""


rule report:
    """Render the report."""
    input:
        pipeline.sources("report"),
        tables=expand(
            f"{RESULTS}/tables/{{table}}.parquet", table=["jobs", "samples", "trials"]
        ),
        figures=expand(f"{RESULTS}/figures/{{figure}}.svg", figure=pipeline.figures()),
        records=pipeline.all_records(),
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/report.log",
    conda:
        "../../envs/conda.yaml"
    message:
        "Rendering {output}"
    shell:
        "schedlab report --output {output:q} > {log:q} 2>&1"
