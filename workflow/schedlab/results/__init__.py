"""Results on disk and the links between them: records, digests, imports, series of samples."""
