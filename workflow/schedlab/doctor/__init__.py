"""Whether this machine can run an experiment: what it lacks, why it is needed, what to do."""
