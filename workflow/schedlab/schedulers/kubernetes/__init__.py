"""Kubernetes with its own scheduler."""

from schedlab.schedulers.kubernetes.adapter import Kubernetes

__all__ = ["Kubernetes"]
