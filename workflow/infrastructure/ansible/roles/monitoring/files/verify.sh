#!/bin/sh
# Checks of the exporters in the image. Each line fails the build with its own message.
set -eu

fail() {
    echo "verify: $1" >&2
    exit 1
}

unit=/etc/systemd/system/schedlab-node-exporter.service
program=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$unit")
"$program" --version >/dev/null 2>&1 || fail "the node exporter does not run"
for unit in schedlab-node-exporter prometheus-node-exporter node_exporter; do
    ! systemctl is-enabled --quiet "$unit" 2>/dev/null ||
        fail "$unit starts before it is configured"
done
echo "verify: monitoring is right"
