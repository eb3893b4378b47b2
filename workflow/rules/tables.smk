"""Tables: one row a job, a sample, a trial.

REQUIRED INPUTS: trial records (their data beside them)
OUTPUTS: results/tables/{jobs,samples,trials}.parquet, results/tables/record.json
"""


rule tables:
    """Turn the trials' native records into Parquet tables."""
    input:
        pipeline.sources("tables"),
        trials=pipeline.trial_records(),
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
        "schedlab tables > {log:q} 2>&1"
