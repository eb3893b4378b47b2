"""Dashboards of trials: their definition, and how kept metrics are served for them."""
