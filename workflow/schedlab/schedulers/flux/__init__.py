"""Flux."""

from schedlab.schedulers.flux.adapter import Flux

__all__ = ["Flux"]
