"""Agents and calls for the tests of an installation."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from tests.e2e.cluster import SYSTEM, Cluster
from tests.parts.image import ROOT
from tests.parts.polling import wait

GATEWAY = f"http://lambdaagent-gateway.{SYSTEM}.svc.cluster.local"
# A pod that is ready is in its Service, but the nodes learn of that a moment later: until then they refuse.
_CALLER = """
import sys, time, urllib.error, urllib.request as http
for attempt in range(40):
    try:
        headers = {"content-type": sys.argv[3]} | ({"authorization": f"Bearer {sys.argv[4]}"} if sys.argv[4] else {})
        asked = http.Request(sys.argv[1], sys.argv[2].encode() or None, headers)
        print(http.urlopen(asked, timeout=10).read().decode())
        break
    except urllib.error.HTTPError as problem:
        said = f"{problem.code} {problem.read().decode()}"
        if problem.code not in (502, 503):
            print(said)
            break
    except urllib.error.URLError as problem:
        said = str(problem)
    time.sleep(0.25)
else:
    print(said)
"""


def agent(cluster: Cluster, *, prompt: str, eventing: bool = False) -> dict[str, Any]:
    """Returns the LambdaAgent of the example; `eventing` says whether it has events."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "echo-python" / "agent.yaml").read_text())
    repository, _, tag = cluster.echo.rpartition(":")
    document["spec"] |= {
        "image": {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"},
        "behavior": {"systemPrompt": prompt},
    }
    document["spec"]["eventing"]["enabled"] = eventing
    return document


def call(
    cluster: Cluster, namespace: str, url: str, body: str = "", content_type: str = "text/plain", token: str = ""
) -> str:
    """Calls the URL from a pod in this namespace and returns the response."""
    name = f"caller-{secrets.token_hex(3)}"
    container = {
        "name": "caller",
        "image": cluster.echo,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", _CALLER, url, body, content_type, token],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    cluster.kubectl("-n", namespace, "create", "-f", "-", given=pod)
    try:
        ended = ("Succeeded", "Failed")
        wait(lambda: cluster.get("-n", namespace, f"pod/{name}").get("status", {}).get("phase") in ended, within=60)
        return cluster.kubectl("-n", namespace, "logs", name).strip()
    finally:
        cluster.kubectl("-n", namespace, "delete", "pod", name, "--grace-period=1")


@contextmanager
def token_of(cluster: Cluster, role: str) -> Iterator[str]:
    """Yields the token of a ServiceAccount that has a ClusterRole of the chart, in every namespace."""
    account = f"e2e-{role}-{secrets.token_hex(3)}"
    cluster.kubectl("-n", "default", "create", "serviceaccount", account)
    bound = (f"--clusterrole=lambdaagent-{role}", f"--serviceaccount=default:{account}")
    cluster.kubectl("create", "clusterrolebinding", account, *bound)
    user = f"--as=system:serviceaccount:default:{account}"
    try:
        if role in ("invoker", "supervisor"):  # the API server learns of a binding a moment later
            wait(lambda: _may(cluster, user), within=60)
        created = ("create", "token", account, "--audience=lambdaagent", "--duration=2h")
        yield cluster.kubectl("-n", "default", *created).strip()
    finally:
        cluster.kubectl("delete", "clusterrolebinding", account)
        cluster.kubectl("-n", "default", "delete", "serviceaccount", account)


def _may(cluster: Cluster, user: str) -> bool:
    asked = ("auth", "can-i", "create", "lambdaagents.lambda.knative.io", "--subresource=invoke", user)
    try:
        return cluster.kubectl(*asked).strip() == "yes"
    except AssertionError:  # kubectl ends with 1 for no
        return False


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(entry for entry in status["conditions"] if entry["type"] == kind)
