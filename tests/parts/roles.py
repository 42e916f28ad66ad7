"""The rights that `lambdaagent rbac` prints, in effect on the tests' API server, and accounts that hold nothing else.

The API server counts the requests that nobody allowed. That counter is the witness of the tests under a role: a refusal
that somebody swallowed counts as well.
"""

import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml
from tests.parts.kubernetes import KubeApiserver
from tests.parts.rest import Rest

from lambdaagent.kube import rights
from lambdaagent.kube.resources import of

LAMBDA = "lambda.knative.io"
_REFUSED = re.compile(r'^authorization_attempts_total\{result="(?!allowed).*', re.MULTILINE)


@contextmanager
def applied(server: KubeApiserver, namespace: str, namespaces: Sequence[str] = ()) -> Iterator[None]:
    """For processes in `namespace`; they may look after all namespaces, or after those named."""
    paths = []
    for document in rights.documents(namespace=namespace, namespaces=namespaces):
        metadata = document["metadata"]
        paths.append(of(document).path(namespace=metadata.get("namespace"), name=metadata["name"]))
        server.rest.apply(paths[-1], document)
    try:
        yield
    finally:
        for path in paths:
            if server.rest.find(path) is not None:
                server.rest.delete(path)


@contextmanager
def home(server: KubeApiserver) -> Iterator[str]:
    """A namespace for processes of ours, with the rights that `lambdaagent rbac` prints; nothing is refused."""
    name = f"system-{secrets.token_hex(3)}"
    server.rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    with applied(server, name):
        before = refusals(server.rest)
        yield name
        assert refusals(server.rest) == before
    server.rest.delete(f"/api/v1/namespaces/{name}")


def kubeconfig(server: KubeApiserver, namespace: str, name: str, *, over: Sequence[str] = ("",)) -> Path:
    """That of an account, once its bindings are in effect `over` these namespaces (empty: over all)."""
    path = server.kubeconfig_for_service_account(namespace=namespace, name=name)
    rest = as_account(server, path)
    deadline = time.monotonic() + 20
    # The API server learns of a new binding through a watch of its own.
    while not all(may(rest, f"list lambdaagents.{LAMBDA}", each) for each in over):
        assert time.monotonic() < deadline, "a binding is without effect"
    return path


def as_account(server: KubeApiserver, kubeconfig: Path) -> Rest:
    token = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]
    return Rest(url=server.url, token=token, ca=server.ca)


def may(rest: Rest, action: str, namespace: str) -> bool:
    """`action` is `verb plural[/subresource][.group] [name]`."""
    verb, _, what = action.partition(" ")
    what, _, name = what.partition(" ")
    resource, _, group = what.partition(".")
    plural, _, subresource = resource.partition("/")
    asked = {
        "verb": verb,
        "group": group,
        "resource": plural,
        "subresource": subresource,
        "name": name,
        "namespace": namespace,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    answer = rest.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    return bool(answer["status"]["allowed"])


def refusals(rest: Rest) -> list[str]:
    """How many requests nobody allowed since the API server's start; its other counters see only those that passed."""
    return _REFUSED.findall(rest.get("/metrics"))
