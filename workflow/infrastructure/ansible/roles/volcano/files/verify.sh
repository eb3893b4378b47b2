#!/bin/sh
# Checks of Volcano in the image. Each failure has its own message and fails the build.
set -eu

fail() {
    echo "verify: $1" >&2
    exit 1
}

for program in vc-scheduler vc-controller-manager; do
    command -v "$program" >/dev/null || fail "$program is missing"
    ! systemctl is-enabled --quiet "$program" || fail "$program starts before it is configured"
done
ls /usr/local/share/volcano/*.yaml >/dev/null || fail "Volcano's resource definitions are missing"
echo "verify: Volcano is right"
