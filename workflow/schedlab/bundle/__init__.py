"""Result bundles."""
