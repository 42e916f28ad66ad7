"""Which agents' containers must not run as root: the installation says, and the agent's annotation wins.

The sidecar is the installation's own image, and as hardened as the pods of the chart whatever the agent's is.
"""

from typing import Any

import pytest

from lambdaagent.api import agent as agents
from lambdaagent.children.base import Backends, Observed
from lambdaagent.children.plan import plan
from lambdaagent.settings import Installation, PodSecurity


@pytest.mark.parametrize("backends", [Backends("knative", "none"), Backends("kubernetes", "none")], ids=str)
@pytest.mark.parametrize(
    ("installation", "annotation", "enforced"),
    [
        pytest.param("restricted", None, True, id="by default"),
        pytest.param("baseline", None, False, id="an installation of root images"),
        pytest.param("restricted", "baseline", False, id="one root image"),
        pytest.param("baseline", "restricted", True, id="one that is better than the rest"),
        pytest.param("restricted", "privileged", True, id="a level that is not offered"),
        pytest.param("baseline", "Restricted", False, id="mistyped"),
    ],
)
def test_the_annotation_wins_where_it_is_known(
    installation: PodSecurity, annotation: str | None, enforced: bool, backends: Backends
) -> None:
    metadata: dict[str, Any] = {"name": "a", "namespace": "ns"}
    if annotation:
        metadata["annotations"] = {"lambda.knative.io/pod-security": annotation}
    agent = agents.parse({"metadata": metadata, "spec": {"image": {"repository": "r"}}})
    made = plan(
        agent, installation=Installation(pod_security=installation), backends=backends, observed=Observed(agents={})
    )
    (container,) = made.children[0].obj["spec"]["template"]["spec"]["containers"]
    assert container["securityContext"].get("runAsNonRoot", False) is enforced
    unknown = annotation not in (None, "restricted", "baseline")
    assert ["UnknownPodSecurity" in warning.reason for warning in made.warnings] == [True] * unknown


@pytest.mark.parametrize("backends", [Backends("knative", "none"), Backends("kubernetes", "none")], ids=str)
@pytest.mark.parametrize("installation", ["restricted", "baseline"])
def test_the_sidecar_can_change_nothing_and_gain_nothing(installation: PodSecurity, backends: Backends) -> None:
    spec = {"image": {"repository": "r"}, "a2a": {"enabled": True, "mode": "sidecar"}}
    agent = agents.parse({"metadata": {"name": "a", "namespace": "ns"}, "spec": spec})
    made = plan(
        agent,
        installation=Installation(pod_security=installation, gateway_image="g"),
        backends=backends,
        observed=Observed(),
    )
    (sidecar,) = [
        container
        for container in made.children[0].obj["spec"]["template"]["spec"]["containers"]
        if container["name"] == "gateway"
    ]
    assert sidecar["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert sidecar.keys().isdisjoint({"volumeMounts", "envFrom"})
