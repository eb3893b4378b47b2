"""The report: one self-contained HTML file, made from tables, figures and records alone.

The same inputs give the same bytes: no clock is read, and dates are those of the records.
"""
