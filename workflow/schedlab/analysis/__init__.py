"""Analysis of a recorded trace, without a cluster: metrics, text and figures."""
