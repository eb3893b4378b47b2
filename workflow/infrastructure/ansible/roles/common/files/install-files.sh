#!/bin/sh
# Install what the disk labelled FILES holds: settings and units (etc), programs (bin), their files
# (share), guest programs of roles (lib), archives whose names start at the root (archives).
set -eu

lay() {
    [ ! -d "/mnt/$1" ] || cp --recursive --no-preserve=mode "/mnt/$1/." "$2/"
}

mount --options ro LABEL=FILES /mnt
lay etc /etc
lay share /usr/local/share
lay lib /usr/local/lib/schedlab
for program in /mnt/bin/*; do
    [ ! -f "$program" ] || install --mode 0755 "$program" /usr/local/bin/
done
for archive in /mnt/archives/*.tar; do
    [ ! -f "$archive" ] || tar --extract --file "$archive" --directory /
done
systemctl daemon-reload
umount /mnt
mkdir -p /usr/local/share/schedlab
touch /usr/local/share/schedlab/installed
