#!/bin/sh
# Checks of the null scheduler in the image. Each failure has its own message.
set -eu

fail() {
    echo "verify: $1" >&2
    exit 1
}

python3 -c "import ast; ast.parse(open('/usr/local/lib/schedlab/schedlab_null.py').read())" ||
    fail "the null scheduler is no program"
! systemctl is-enabled --quiet nullscheduler || fail "the null scheduler starts before it is configured"
echo "verify: the null scheduler is right"
