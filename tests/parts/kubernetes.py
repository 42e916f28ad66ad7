"""A real kube-apiserver with its etcd and the controllers that deletion needs, for one test session.

Everything listens on loopback with ports of its own and lives in one temporary directory. Kinds are installed before
the controller-manager starts: its garbage collector looks for new kinds only every 30 seconds, and a test that waits
for an orphan to go must not wait for that. No kubelet, no scheduler, no Knative: pods never run, and children become
ready when a test says so (knative.py).
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
        """The server signs its own certificate; the file holds the chain up to the authority it made for it."""
        return self.folder / "pki" / "apiserver.crt"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @cached_property
    def rest(self) -> Rest:
        """The administrator's."""
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
        if "rest" in self.__dict__:  # it made none if it never came up
            self.rest.close()
        while self._parts:
            self._parts.pop().stop()

    def pause(self, part: str = "kube-apiserver") -> None:
        """It stops answering, but its connections stay: what a hung node looks like."""
        self._part(part).signal(signal.SIGSTOP)

    def resume(self, part: str = "kube-apiserver") -> None:
        self._part(part).signal(signal.SIGCONT)

    def compact(self) -> None:
        """Forgets all history in etcd: watches of PodTemplates from an older version are answered with 410."""
        request = urllib.request.Request(
            f"{self._etcd}/v3/kv/compaction",
            data=json.dumps({"revision": self.rest.get("/api/v1/pods")["metadata"]["resourceVersion"]}).encode(),
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def kubeconfig_for(self, *, token: str | None = None, url: str | None = None, namespace: str = "default") -> Path:
        """A kubeconfig for another user or through another address (a proxy on 127.0.0.1)."""
        path = self.folder / f"kubeconfig-{secrets.token_hex(4)}"
        self._write_kubeconfig(path, token=token or self.token, url=url or self.url, namespace=namespace)
        return path

    def kubeconfig_for_service_account(self, *, namespace: str, name: str, url: str | None = None) -> Path:
        """Makes the ServiceAccount if need be; it may do only what the test binds to it."""
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
            # Its own TLS key signs the tokens as well: a key pair less to make, and no openssl to ask for.
            f"--service-account-key-file={pki / 'apiserver.key'}",
            f"--service-account-signing-key-file={pki / 'apiserver.key'}",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            # As on OpenShift: who lets an object block its owner's deletion needs a right for it.
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
            # What etcd compacts of these is gone at once (compact()); other kinds have a history in memory.
            "--watch-cache-sizes=podtemplates#0",
            # As on the clusters that users run, but without the seconds that a stop takes there.
            "--shutdown-delay-duration=0s",
            # What clusters do with Kyverno or Gatekeeper: labels that a policy rewrites.
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
        # The default ServiceAccount of a namespace is the proof that its controllers work.
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
