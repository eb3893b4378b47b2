"""Slurm."""

from schedlab.schedulers.slurm.adapter import Slurm

__all__ = ["Slurm"]
