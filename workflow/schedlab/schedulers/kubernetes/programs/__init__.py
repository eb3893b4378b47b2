"""Kubernetes' own programs; ``go.mod`` beside this file pins their version.

An experiment's machine may not reach the place where Kubernetes publishes its programs, and
emulated guests are far too slow to build them. So the host builds static programs, which are copied
into images.
"""

from pathlib import Path

from schedlab.schedulers.programs import ProgramGroup

# Linker flags that set the version which the programs report. Clients refuse or misjudge a server
# that reports none.
_FLAGS = " ".join(
    f"-X {package}.{name}={value}"
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    for name, value in {
        "gitVersion": "v$version",
        "gitMajor": "$major",
        "gitMinor": "$minor",
        "gitTreeState": "clean",
        "gitCommit": "$commit",
        "buildDate": "$date",
    }.items()
)

PROGRAMS = ProgramGroup(
    name="kubernetes",
    folder=Path(__file__).parent,
    programs={
        name: name
        for name in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubectl",
            "kubelet",
        )
    },
    probe="kube-apiserver",
    version_pattern=r"(?m)^Kubernetes v(\S+)",
    flags=_FLAGS,
    minutes=8,  # an estimate: 4.4 measured with a part of its libraries in Go's cache
)
