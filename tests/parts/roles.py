"""The rights of `lambdaagent rbac` on the tests' API server, and accounts that have no other rights.

The API server counts the requests that it refuses. Tests under a role compare that counter, so that a refusal which the
code ignores counts too.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import wait
from tests.parts.rest import Rest

from lambdaagent.kube import rights
from lambdaagent.kube.resources import of

LAMBDA = "lambda.knative.io"
_REFUSED = re.compile(r'^authorization_attempts_total\{result="(?!allowed).*', re.MULTILINE)


@contextmanager
def applied(server: KubeApiserver, namespace: str, namespaces: Sequence[str] = ()) -> Iterator[None]:
    """Applies the rights of processes in `namespace` over all namespaces, or those given; removes them at the end."""
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
    """Yields a namespace with the accounts of an installation; at the end it asserts that no request was refused."""
    name = f"system-{secrets.token_hex(3)}"
    server.rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    with applied(server, name):
        before = refusals(server.rest)
        yield name
        assert refusals(server.rest) == before
    server.rest.delete(f"/api/v1/namespaces/{name}")


def kubeconfig(server: KubeApiserver, namespace: str, name: str, *, over: Sequence[str] = ("",)) -> Path:
    """Returns the kubeconfig of an account once its bindings are in effect `over` these namespaces (empty: all)."""
    path = server.kubeconfig_for_service_account(namespace=namespace, name=name)
    rest = as_account(server, path)
    # The API server learns of a new binding through a watch of its own.
    wait(lambda: all(may(rest, f"list lambdaagents.{LAMBDA}", each) for each in over), what="the bindings in effect")
    return path


def as_account(server: KubeApiserver, kubeconfig: Path) -> Rest:
    token = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]
    return Rest(url=server.url, token=token, ca=server.ca)


def may(rest: Rest, action: str, namespace: str) -> bool:
    """Returns whether the API server allows an action: `verb plural[/subresource][.group] [name]`."""
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
    """Returns the counters of refused requests since the start of the API server; other counters leave these out."""
    return _REFUSED.findall(rest.get("/metrics"))
