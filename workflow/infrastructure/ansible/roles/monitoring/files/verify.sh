#!/bin/sh
# Checks of the exporters in the image. Each line fails the build with its own message.
set -eu

fail() {
    echo "verify: $1" >&2
    exit 1
}

prometheus-node-exporter --version >/dev/null 2>&1 || fail "the node exporter does not run"
! systemctl is-enabled --quiet prometheus-node-exporter ||
    fail "the node exporter starts before it is configured"
echo "verify: monitoring is right"
