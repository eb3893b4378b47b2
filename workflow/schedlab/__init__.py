"""schedlab: benchmarks HPC schedulers on virtual clusters built from code."""

__version__ = "0.1.0"
