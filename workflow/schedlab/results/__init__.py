"""What stands on disk, and how it hangs together: records, digests, imports, series."""
