"""The report: one self-contained HTML file.

REQUIRED INPUTS: tables, figures, the records of every stage
OUTPUTS: results/report.html, results/report.record.json, results/experiments.yaml (what it is of)
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
        imported=pipeline.imported(),
    output:
        report=f"{RESULTS}/report.html",
        experiment=f"{RESULTS}/experiments.yaml",
        record=f"{RESULTS}/report.record.json",
    log:
        f"{RESULTS}/logs/report.log",
    conda:
        "../../envs/conda.yaml"
    params:
        spec=pipeline.spec("report"),
    message:
        "Rendering {output.report}"
    shell:
        "schedlab report --output {output.report:q} 2>&1 | schedlab log {log:q}"
