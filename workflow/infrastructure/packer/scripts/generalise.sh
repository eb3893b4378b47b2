#!/bin/sh
# Remove everything that must differ between guests of this image, and traces of this build.
set -eu

# Files of roles that every machine must make itself, separated by spaces.
for secret in ${SECRETS:-}; do
    rm -f "$secret"
done
cloud-init clean --logs --seed
rm -f /etc/ssh/ssh_host_* /etc/netplan/50-cloud-init.yaml
rm -f /etc/systemd/network/10-cloud-init-* /etc/sysconfig/network-scripts/ifcfg-*
rm -f /etc/NetworkManager/system-connections/cloud-init-*
# What the package managers of cloud images downloaded.
rm -rf /var/cache/dnf /var/cache/apt/archives/*.deb /var/lib/apt/lists/*
rm -rf /tmp/* /var/tmp/* /root/.ansible /home/bench/.ansible
: >/etc/machine-id
journalctl --rotate --vacuum-time=1s >/dev/null 2>&1 || true
fstrim / || true
sync
