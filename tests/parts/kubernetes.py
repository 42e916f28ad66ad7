"""A real kube-apiserver with its etcd and the controllers that deletion needs, for one test session.

All of it listens on loopback on ports of its own and keeps its data in one temporary directory. The CRDs are installed
before the controller-manager starts, because its garbage collector looks for new kinds only every 30 seconds. There is
no kubelet, no scheduler and no Knative: pods never run, and children become ready when a test reports them
(knative.py).
"""

import json
import secrets
import signal
import urllib.request
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import yaml
from tests.parts import admission, crds, fetch
from tests.parts.process import PartFailedError, Process, free_port
from tests.parts.rest import Rest, RestError

_CONTROLLERS = ("garbage-collector-controller", "namespace-controller", "serviceaccount-controller")


@dataclass
class KubeApiserver:
    folder: Path
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    port: int = field(default_factory=free_port)
    _etcd: str = ""
    _parts: list[Process] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        """The file with the chain of the server's certificate, which the server signs itself."""
        return self.folder / "pki" / "apiserver.crt"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @cached_property
    def rest(self) -> Rest:
        """A client with the administrator's rights."""
        return Rest(url=self.url, token=self.token, ca=self.ca)

    def start(self) -> None:
        try:
            self._start_etcd()
            self._start_apiserver()
            crds.install(self.rest)
            admission.install(self.rest)
            self._start_controllers()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if "rest" in self.__dict__:  # there is none if the server never started
            self.rest.close()
        while self._parts:
            self._parts.pop().stop()

    def pause(self, part: str = "kube-apiserver") -> None:
        """Stops a process; its connections stay open and get no response, as on a node that hangs."""
        self._part(part).signal(signal.SIGSTOP)

    def resume(self, part: str = "kube-apiserver") -> None:
        self._part(part).signal(signal.SIGCONT)

    def compact(self) -> None:
        """Removes all history from etcd, so that a watch of PodTemplates from an older version gets 410."""
        request = urllib.request.Request(
            f"{self._etcd}/v3/kv/compaction",
            data=json.dumps({"revision": self.rest.get("/api/v1/pods")["metadata"]["resourceVersion"]}).encode(),
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def kubeconfig_for(self, *, token: str | None = None, url: str | None = None, namespace: str = "default") -> Path:
        """Writes a kubeconfig for another user or another address, such as that of a proxy."""
        path = self.folder / f"kubeconfig-{secrets.token_hex(4)}"
        self._write_kubeconfig(path, token=token or self.token, url=url or self.url, namespace=namespace)
        return path

    def kubeconfig_for_service_account(self, *, namespace: str, name: str, url: str | None = None) -> Path:
        """Writes a kubeconfig for a ServiceAccount, which it may create; a test binds the rights."""
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        if self.rest.find(f"{accounts}/{name}") is None:
            self.rest.post(accounts, {"metadata": {"name": name}})
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
        token = self.rest.post(f"{accounts}/{name}/token", asked)["status"]["token"]
        return self.kubeconfig_for(token=token, url=url, namespace=namespace)

    def _part(self, name: str) -> Process:
        return next(part for part in self._parts if part.name == name)

    def _launch(self, name: str, *args: str) -> Process:
        part = Process(name, [str(fetch.go_part(name)), *args], folder=self.folder)
        self._parts.append(part)
        return part

    def _start_etcd(self) -> None:
        self._etcd, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self._launch(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={self._etcd}",
            f"--advertise-client-urls={self._etcd}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )

    def _start_apiserver(self) -> None:
        pki = self.folder / "pki"
        pki.mkdir()
        tokens = pki / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(f'{self.token},admin,admin,"system:masters"\n')
        server = self._launch(
            "kube-apiserver",
            f"--etcd-servers={self._etcd}",
            f"--cert-dir={pki}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            # Its TLS key also signs the tokens, so that no second key pair is needed.
            f"--service-account-key-file={pki / 'apiserver.key'}",
            f"--service-account-signing-key-file={pki / 'apiserver.key'}",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            # As on OpenShift, where an object may block its owner's deletion only with a right.
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
            # compact() removes their history at once; other kinds have a history in memory.
            "--watch-cache-sizes=podtemplates#0",
            # Otherwise a stop would take seconds, as it does on the clusters of users.
            "--shutdown-delay-duration=0s",
            # For policies that rewrite labels, as Kyverno and Gatekeeper do.
            "--feature-gates=MutatingAdmissionPolicy=true",
            "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
        )
        server.await_ready(self._is_ready)
        self._write_kubeconfig(self.kubeconfig, token=self.token, url=self.url, namespace="default")

    def _is_ready(self) -> bool:
        try:
            return bool(self.rest.get("/readyz") == "ok" and self.rest.find("/api/v1/namespaces/default"))
        except (OSError, RestError):
            return False

    def _start_controllers(self) -> None:
        manager = self._launch(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}",
            f"--controllers={','.join(_CONTROLLERS)}",
            "--leader-elect=false",
            "--secure-port=0",
            "--concurrent-gc-syncs=4",
        )
        # The controllers work once a namespace has its default ServiceAccount.
        manager.await_ready(lambda: self.rest.find("/api/v1/namespaces/default/serviceaccounts/default") is not None)
        if not manager.running:
            raise PartFailedError(f"kube-controller-manager ended:\n{manager.log_tail()}")

    def _write_kubeconfig(self, path: Path, *, token: str, url: str, namespace: str) -> None:
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": str(self.ca)}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
            "current-context": "test",
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(json.loads(json.dumps(document))))
