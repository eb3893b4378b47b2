"""The null scheduler."""

from schedlab.schedulers.nullscheduler.adapter import NullScheduler

__all__ = ["NullScheduler"]
