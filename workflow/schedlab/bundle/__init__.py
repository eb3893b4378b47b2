"""Result bundles: one archive that holds results, what made them, and a manifest of it all.

A bundle is a tar archive in a zstd frame. Its root is an RO-Crate::

    bundle.json               first: form, release, name, commit, versions of what draws
    .zenodo.json, CITATION.cff, ro-crate-metadata.json
    results/...               as in the results folder
    source/...                the checkout at its commit
    source.patch              what was not committed, untracked files too
    manifest.jsonl            last: path, size and SHA-256 of every member before it

After the zstd frame comes a skippable frame with the SHA-256 of everything before it, so that no
byte of the file is without a check; `tar` and `zstd` ignore it.
"""
