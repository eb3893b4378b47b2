#!/bin/sh
# Take settings, units, programs, resource definitions and container images from the disk labelled
# FILES.
# No image registry is asked, now or later: pods run images made of this project's own programs.
set -eu

mount --options ro LABEL=FILES /mnt
cp --recursive --no-preserve=mode /mnt/etc/. /etc/
install --mode 0755 /mnt/bin/* /usr/local/bin/
mkdir -p /usr/local/share/volcano /usr/local/share/kubernetes
cp /mnt/crd/* /usr/local/share/volcano/
systemctl daemon-reload
systemctl restart containerd
ctr --namespace k8s.io images import /mnt/images.tar
ctr --namespace k8s.io images list --quiet >/usr/local/share/kubernetes/imported
systemctl stop containerd
systemctl disable --quiet containerd etcd
systemctl stop etcd
rm -rf /var/lib/etcd/default
umount /mnt
mv /usr/local/share/kubernetes/imported /usr/local/share/kubernetes/installed
