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
[ -z "$lacking" ] || fail "libraries are missing: $lacking; remedy: build Flux without them, or put them into $prefix/lib"
# An instance of one broker loads every module that a cluster's head has, and runs a job: once with
# each scheduler that the installation has, because flux-sched's own configuration loads Fluxion.
folder=$(mktemp --directory)
trap 'rm -rf "$folder"' EXIT
chmod 0755 "$folder"
schedules() {
    printf '[modules]\nalternatives.sched = "%s"\nalternatives.feasibility = "%s"\n' "$1" "$2" \
        >"$folder/$1.toml"
    # shellcheck disable=SC2016 # $1 is for the instance's shell
    runuser --user bench -- flux start --config-path="$folder/$1.toml" \
        sh -c 'flux module stats "$1" >/dev/null && flux run /bin/true' sh "$1" ||
        fail "an instance with $1 does not run a job"
}
schedules sched-simple sched-simple
for module in "$prefix"/lib*/flux/modules/sched-fluxion-qmanager.so; do
    [ ! -e "$module" ] || schedules sched-fluxion-qmanager sched-fluxion-feasibility
done
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
