"""Configuration: the experiment's model, its checks and its reader."""

from schedlab.config.cluster import Cluster
from schedlab.config.host_facts import HostFacts
from schedlab.config.load import read_experiment, write_experiment
from schedlab.config.model import Experiment
from schedlab.config.trials import TrialKey

__all__ = [
    "Cluster",
    "Experiment",
    "HostFacts",
    "TrialKey",
    "read_experiment",
    "write_experiment",
]
