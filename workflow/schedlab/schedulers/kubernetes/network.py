"""Addresses that a Kubernetes cluster uses for itself."""

SERVICE_ADDRESS = "10.96.0.1"
"""Address of the API server's own service, the first of the network."""
SERVICE_NETWORK = "10.96.0.0/16"
"""Network of service addresses: the API server's `--service-cluster-ip-range`."""
