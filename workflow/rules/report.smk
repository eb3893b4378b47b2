"""The report: one self-contained HTML file.

REQUIRED INPUTS: tables, figures, the records of every stage
OUTPUTS: results/report.html, results/report.record.json
"""


rule report:
    """Render the report."""
    input:
        pipeline.sources("report"),
        tables=f"{RESULTS}/tables/record.json",
        figures=expand(
            f"{RESULTS}/figures/{{figure}}.record.json", figure=pipeline.figures()
        ),
        records=pipeline.all_records(),
    output:
        report=f"{RESULTS}/report.html",
        record=f"{RESULTS}/report.record.json",
    log:
        f"{RESULTS}/logs/report.log",
    conda:
        "../../envs/conda.yaml"
    message:
        "Rendering {output.report}"
    shell:
        "schedlab report --output {output.report:q} > {log:q} 2>&1"
