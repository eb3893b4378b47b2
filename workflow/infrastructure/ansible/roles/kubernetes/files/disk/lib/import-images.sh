#!/bin/sh
# Import the container images from the disk labelled FILES, and remove all data of etcd. No image
# registry is ever used: pods run images that are made from this project's own programs.
set -eu

mkdir -p /usr/local/share/kubernetes
mount --options ro LABEL=FILES /mnt
systemctl restart containerd
ctr --namespace k8s.io images import /mnt/images.tar
ctr --namespace k8s.io images list --quiet >/usr/local/share/kubernetes/imported
systemctl stop containerd
systemctl disable --quiet containerd etcd
systemctl stop etcd
rm -rf /var/lib/etcd/default
umount /mnt
mv /usr/local/share/kubernetes/imported /usr/local/share/kubernetes/installed
