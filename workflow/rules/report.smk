"""The report: one self-contained HTML file.

REQUIRED INPUTS: tables, figures, the records of every stage
OUTPUTS: results/report.html, results/report.record.json, results/experiments.yaml (its experiment)
"""


rule report:
    """Render the report."""
    input:
        tables=at(paths.TABLES_RECORD),
        figures=expand(at(paths.figure_record("{figure}")), figure=pipeline.figures()),
        records=pipeline.all_records(),
        imported=pipeline.imported(),
    output:
        report=at(paths.REPORT),
        experiment=at(paths.EXPERIMENTS),
        record=at(paths.REPORT_RECORD),
    log:
        at("logs/report.log"),
    conda:
        "../../envs/conda.yaml"
    params:
        sources=pipeline.sources("report"),
        spec=pipeline.spec("report"),
    message:
        "Rendering {output.report}"
    shell:
        "schedlab report --output {output.report:q} 2>&1 | schedlab log {log:q}"
