#!/bin/sh
# Checks of the exporters in the image. Each line fails the build with its own message.
set -eu

fail() {
    echo "verify: $1" >&2
    exit 1
}

# Families of distributions name it differently.
program=$(command -v prometheus-node-exporter || command -v node_exporter) ||
    fail "there is no node exporter"
"$program" --version >/dev/null 2>&1 || fail "the node exporter does not run"
for unit in schedlab-node-exporter prometheus-node-exporter node_exporter; do
    ! systemctl is-enabled --quiet "$unit" 2>/dev/null ||
        fail "$unit starts before it is configured"
done
echo "verify: monitoring is right"
