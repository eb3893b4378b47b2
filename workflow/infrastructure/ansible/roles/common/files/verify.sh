#!/bin/sh
# Checks that every image must pass. Each failure has its own message and fails the build.
set -eu

fail() {
    echo "verify: $1" >&2
    exit 1
}

# OpenSSH prints the names of settings in lower case, since release 10 as they are documented.
sshd -T | grep -qix 'passwordauthentication no' || fail "sshd accepts passwords"
sshd -T | grep -qix 'permitrootlogin no' || fail "sshd lets root in"
stamp=$(mktemp)
/usr/local/bin/schedlab-payload "$stamp" 7 0 0 sleep || fail "the payload does not run"
[ "$(wc -l <"$stamp")" -eq 2 ] || fail "the payload did not stamp twice"
rm "$stamp"
[ "$(stat -c %a /var/lib/schedlab)" = 1777 ] || fail "/var/lib/schedlab is not open to all users"
for program in /usr/local/lib/schedlab/*.py; do
    python3 -m py_compile "$program" || fail "$program does not compile"
done
rm -rf /usr/local/lib/schedlab/__pycache__
# As at boot: a key that the kernel lacks is passed over, which sysctl itself does not do.
/usr/lib/systemd/systemd-sysctl /etc/sysctl.d/90-schedlab.conf ||
    fail "sysctl settings are not accepted"
[ "$(sysctl -n net.core.somaxconn)" = 4096 ] || fail "the network is not tuned"
systemd-tmpfiles --create /etc/tmpfiles.d/schedlab.conf || fail "the settings in /sys are not accepted"
echo "verify: common is right"
