"""Tables: one row a job, a sample, a trial.

REQUIRED INPUTS: trial records (their data beside them), imported ones too
OUTPUTS: results/tables/{jobs,samples,trials}.parquet, results/tables/record.json
"""


rule tables:
    """Turn the trials' native records into Parquet tables."""
    input:
        pipeline.sources("tables"),
        trials=pipeline.trial_records(),
        imported=pipeline.imported(),
    output:
        jobs=f"{RESULTS}/tables/jobs.parquet",
        samples=f"{RESULTS}/tables/samples.parquet",
        trials=f"{RESULTS}/tables/trials.parquet",
        record=f"{RESULTS}/tables/record.json",
    log:
        f"{RESULTS}/logs/tables.log",
    conda:
        "../../envs/conda.yaml"
    message:
        "Building the tables from {input.trials}"
    shell:
        "schedlab tables 2>&1 | schedlab log {log:q}"
