"""Builds a command of a published Go module at a pinned version with `go build`.

Kubernetes publishes its staging modules under other versions (v0.35.4 for v1.35.4), but its go.mod points at
directories of its repository; the build replaces each of them by the published module. A finished binary moves into the
cache in one step, so that the cache never holds the result of an interrupted build.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.parts import places

KUBERNETES = "v1.35.4"
ETCD = "v3.6.5"
HELM = "v3.21.0"
KUSTOMIZE = "v5.8.1"


@dataclass(frozen=True)
class GoCommand:
    name: str
    module: str
    version: str
    package: str
    ldflags: str = ""


def _kubernetes(name: str) -> GoCommand:
    at = "k8s.io/component-base/version"
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    stamp = f"-X {at}.gitVersion={KUBERNETES} -X {at}.gitMajor={major} -X {at}.gitMinor={minor}"
    return GoCommand(name, "k8s.io/kubernetes", KUBERNETES, f"k8s.io/kubernetes/cmd/{name}", stamp)


COMMANDS = {
    "etcd": GoCommand("etcd", "go.etcd.io/etcd/server/v3", ETCD, "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": _kubernetes("kube-apiserver"),
    "kube-controller-manager": _kubernetes("kube-controller-manager"),
    "helm": GoCommand("helm", "helm.sh/helm/v3", HELM, "helm.sh/helm/v3/cmd/helm"),
    "kustomize": GoCommand(
        "kustomize", "sigs.k8s.io/kustomize/kustomize/v5", KUSTOMIZE, "sigs.k8s.io/kustomize/kustomize/v5"
    ),
}


def build(command: GoCommand) -> Path:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise places.PartMissingError(
            f"{command.name} is neither in KUBEBUILDER_ASSETS nor on PATH nor in {places.cache()}, and there is no Go "
            f"to build it with: install Go 1.25 or later (https://go.dev/dl), or set KUBEBUILDER_ASSETS to a directory "
            f"that holds {', '.join(COMMANDS)}"
        )
    places.cache().mkdir(parents=True, exist_ok=True)
    target = places.cache() / command.name
    with tempfile.TemporaryDirectory(prefix="lambdaagent-build-") as folder:
        work = Path(folder)
        (work / "go.mod").write_text("module example.com/parts\n\ngo 1.25\n")
        (work / "parts.go").write_text(f'//go:build tools\n\npackage parts\n\nimport _ "{command.package}"\n')
        if command.module == "k8s.io/kubernetes":
            _replace_staging(go, command, work)
        _run(go, work, "mod", "edit", f"-require={command.module}@{command.version}")
        _run(go, work, "mod", "tidy")
        # In the folder of the target, so that the last step is a rename within one file system.
        fresh = target.with_name(f"{command.name}.{os.getpid()}.new")
        try:
            _run(go, work, "build", "-ldflags", f"-s -w {command.ldflags}", "-o", str(fresh), command.package)
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)
    return target


def _replace_staging(go: str, command: GoCommand, work: Path) -> None:
    answer = json.loads(_run(go, work, "mod", "download", "-json", f"{command.module}@{command.version}"))
    published = command.version.replace("v1.", "v0.", 1)
    for module in re.findall(r"^\s*(\S+) => \./staging/", Path(answer["GoMod"]).read_text(), re.MULTILINE):
        _run(go, work, "mod", "edit", f"-replace={module}={module}@{published}")


def _run(go: str, work: Path, *args: str) -> str:
    env = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}
    done = subprocess.run([go, *args], cwd=work, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise places.PartMissingError(f"go {' '.join(args)} failed:\n{done.stderr[-2000:]}")
    return done.stdout
