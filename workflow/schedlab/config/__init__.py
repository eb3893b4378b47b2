"""Configuration: the experiment's model, its checks and its reader."""

from schedlab.config.host_facts import HostFacts
from schedlab.config.load import read_experiment, write_experiment
from schedlab.config.model import Cluster, Experiment, TrialKey

__all__ = [
    "Cluster",
    "Experiment",
    "HostFacts",
    "TrialKey",
    "read_experiment",
    "write_experiment",
]
