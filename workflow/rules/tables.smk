"""Tables: one row for each job, sample or trial.

REQUIRED INPUTS: trial records (with their data beside them), also imported ones
OUTPUTS: results/tables/{jobs,samples,trials}.parquet, results/tables/record.json
"""


rule tables:
    """Turn the trials' native records into Parquet tables."""
    input:
        trials=pipeline.trial_records(),
        imported=pipeline.imported(),
    output:
        jobs=at(f"{paths.TABLES}/jobs.parquet"),
        samples=at(f"{paths.TABLES}/samples.parquet"),
        trials=at(f"{paths.TABLES}/trials.parquet"),
        record=at(paths.TABLES_RECORD),
    log:
        at("logs/tables.log"),
    conda:
        "../../envs/conda.yaml"
    params:
        sources=pipeline.sources("tables"),
    message:
        "Building the tables"
    shell:
        "schedlab tables 2>&1 | schedlab log {log:q}"
