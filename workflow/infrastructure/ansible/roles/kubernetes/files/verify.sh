#!/bin/sh
# Checks that the Kubernetes image must pass. Each failure has its own message.
set -eu

fail() {
    echo "verify: $1" >&2
    exit 1
}

for program in kube-apiserver kube-controller-manager kube-scheduler kubelet; do
    "$program" --version || fail "$program does not run"
    ! systemctl is-enabled --quiet "$program" || fail "$program starts before it is configured"
done
kwok --version || fail "kwok does not run"
! systemctl is-enabled --quiet kwok || fail "kwok starts before it is configured"
for program in kubectl etcd containerd crun; do
    command -v "$program" >/dev/null || fail "$program is missing"
done
for unit in containerd etcd; do
    ! systemctl is-enabled --quiet "$unit" || fail "$unit starts before it is configured"
done
[ -x /usr/local/lib/cni/loopback ] || fail "the loopback network plugin is missing"
for image in localhost/pause:1 localhost/schedlab-payload:1; do
    # An import unpacks the content, so that the first pod need not wait for it.
    grep -q "$image" /usr/local/share/kubernetes/installed || fail "image $image was not imported"
done
[ ! -e /var/lib/etcd/default/member ] || fail "etcd has data already"
echo "verify: Kubernetes is right"
