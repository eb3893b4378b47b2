#!/bin/sh
# Checks of Flux in the image. Each failure has its own message and fails the build.
set -eu

fail() {
    echo "verify: $1" >&2
    exit 1
}

told=$(flux version) || fail "flux does not run"
version=$(echo "$told" | sed -n 's/^libflux-core:[[:space:]]*//p')
oldest=0.85.0
[ "$(printf '%s\n' "$oldest" "$version" | sort --version-sort | head -n 1)" = "$oldest" ] ||
    fail "flux-core $version is older than $oldest"
prefix=$(dirname "$(dirname "$(readlink -f /usr/local/bin/flux)")")
lacking=$(find "$prefix" -type f \( -name '*.so*' -o -perm /111 \) -exec ldd {} + 2>/dev/null |
    grep 'not found' | sort -u || true)
[ -z "$lacking" ] || fail "libraries are missing: $lacking"
# An instance of one broker loads every module that a cluster's head has, and runs a job.
runuser --user bench -- flux start flux run /bin/true || fail "an instance does not run a job"
flux python -c 'import flux.constants, flux.job.list' || fail "Python cannot use Flux"
for program in schedlab_flux schedlab_flux_journal schedlab_flux_virtual; do
    python3 -c "import ast; ast.parse(open('/usr/local/lib/schedlab/$program.py').read())" ||
        fail "$program is no program"
done
for unit in flux schedlab-flux; do
    ! systemctl is-enabled --quiet "$unit" || fail "$unit starts before it is configured"
done
[ ! -e /etc/flux/curve.cert ] || fail "the image has a certificate, which clusters would share"
echo "verify: Flux is right"
