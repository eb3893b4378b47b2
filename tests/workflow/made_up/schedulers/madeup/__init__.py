"""A scheduler of the tests."""

from schedlab.schedulers.madeup.adapter import MadeUp

__all__ = ["MadeUp"]
