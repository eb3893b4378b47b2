#!/bin/sh
# Checks of the Slurm image.
set -eu

fail() {
    echo "verify: $1" >&2
    exit 1
}

for program in slurmctld slurmd slurmrestd; do
    "$program" -V || fail "$program does not run"
    ! systemctl is-enabled --quiet "$program" || fail "$program starts before it is configured"
done
for program in sbatch srun squeue scontrol sdiag sinfo; do
    command -v "$program" >/dev/null || fail "$program is missing"
done
munge --version >/dev/null || fail "munge does not run"
echo "verify: Slurm is right"
