"""From trial directories to Parquet tables with explicit schemas."""
