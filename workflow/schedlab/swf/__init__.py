"""Trace files in the form of the Parallel Workloads Archive (SWF)."""
