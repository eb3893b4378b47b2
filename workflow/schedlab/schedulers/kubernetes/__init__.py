"""Kubernetes with its own scheduler."""

from schedlab.schedulers.kubernetes.adapter import Kubernetes, Volcano

__all__ = ["Kubernetes", "Volcano"]
