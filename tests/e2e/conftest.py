"""Installations by helm on one cluster, one for each module; the tests of a module run in their order."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.e2e.cluster import SYSTEM, Cluster, cluster
from tests.parts.image import ROOT

CHART = str(ROOT / "charts" / "lambdaagent")
CRD = "lambdaagents.lambda.knative.io"


@pytest.fixture(scope="session", name="cluster")
def _cluster() -> Iterator[Cluster]:
    with cluster() as found:
        yield found


@pytest.fixture(scope="session")
def settings(cluster: Cluster) -> list[str]:
    return [*image_options(cluster), "--set=operator.settings.serving=kubernetes,operator.settings.eventing=none"]


def image_options(cluster: Cluster) -> list[str]:
    repository, _, tag = cluster.image.rpartition(":")
    return [f"--set=image.repository={repository},image.tag={tag}"]


@pytest.fixture(scope="session")
def agents(cluster: Cluster) -> Iterator[str]:
    """Creates the namespace of the agents, which accepts only restricted pods."""
    name = f"agents-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    cluster.kubectl("delete", "namespace", name, "--timeout=120s")


@pytest.fixture(scope="session")
def before(cluster: Cluster, agents: str) -> Iterator[set[str]]:
    """Creates the namespace of the installation, for restricted pods only, and yields what exists before it."""
    cluster.kubectl("create", "namespace", SYSTEM)
    cluster.kubectl("label", "namespace", SYSTEM, "pod-security.kubernetes.io/enforce=restricted")
    cluster.kubectl("-n", SYSTEM, "wait", "--for=create", "serviceaccount/default", "configmap/kube-root-ca.crt")
    yield cluster.objects(SYSTEM, agents)
    cluster.kubectl("delete", "namespace", SYSTEM, "--ignore-not-found", "--timeout=120s")


@pytest.fixture(scope="module")
def installation(cluster: Cluster, before: set[str], agents: str, settings: list[str]) -> Iterator[None]:
    with installed(cluster, agents, *settings):
        yield


@contextmanager
def installed(cluster: Cluster, agents: str, *options: str) -> Iterator[None]:
    cluster.helm("install", "lambdaagent", CHART, "--wait", "--timeout=120s", *options)
    yield
    # The last test does this. After a failure it happens here, agents first: only the operator can release them.
    if cluster.kubectl("get", "crd", CRD, "--ignore-not-found"):
        cluster.kubectl("-n", agents, "delete", "lambdaagents", "--all", "--timeout=60s")
        cluster.helm("uninstall", "lambdaagent", "--ignore-not-found", "--wait", "--timeout=120s")
        cluster.kubectl("delete", "crd", CRD, "--timeout=60s")
