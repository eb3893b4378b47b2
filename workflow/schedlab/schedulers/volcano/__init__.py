"""Volcano."""

from schedlab.schedulers.volcano.adapter import Volcano

__all__ = ["Volcano"]
