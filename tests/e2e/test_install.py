"""From `helm install` to `helm uninstall` on a real cluster: what somebody sees who tries this for the first time."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.e2e.cluster import SYSTEM, Cluster
from tests.e2e.conftest import CHART, CRD
from tests.e2e.using import GATEWAY, agent, call, condition, token_of
from tests.parts.image import ROOT
from tests.parts.polling import wait

pytestmark = pytest.mark.usefixtures("installation")


def leader(cluster: Cluster) -> str:
    """Returns the holder of the Lease: the name of its pod, `_`, and an id of the process."""
    spec = cluster.get("-n", SYSTEM, "lease/lambdaagent-operator").get("spec", {})
    holder: str = spec.get("holderIdentity", "")
    return holder


def test_all_runs_where_only_restricted_pods_may(cluster: Cluster) -> None:
    pods = cluster.get("-n", SYSTEM, "pods")["items"]
    components = sorted(pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods)
    assert components == ["gateway", "operator", "operator"]
    holder = wait(lambda: leader(cluster), within=60).partition("_")[0]
    assert holder in {pod["metadata"]["name"] for pod in pods}


def test_an_agent_becomes_ready(cluster: Cluster, agents: str) -> None:
    cluster.kubectl("-n", agents, "apply", "-f", "-", given=agent(cluster, prompt="Say it back."))
    cluster.kubectl("-n", agents, "wait", "lambdaagent/echo", "--for=condition=Ready", "--timeout=60s")
    assert cluster.get("-n", agents, "lambdaagent/echo")["status"]["phase"] == "Ready"


@pytest.fixture(scope="module")
def token(cluster: Cluster, installation: None) -> Iterator[str]:
    with token_of(cluster, "invoker") as found:
        yield found


def test_it_is_called_through_the_gateway_from_another_pod(cluster: Cluster, agents: str, token: str) -> None:
    url = f"{GATEWAY}/agents/{agents}/echo/api/a2a/skills/echo"
    assert call(cluster, "default", url, "hello", token=token) == "Say it back. hello"


def test_nobody_else_learns_that_it_is_there(cluster: Cluster, agents: str) -> None:
    there, absent = (f"{GATEWAY}/agents/{agents}/{name}/api/a2a/skills/echo" for name in ("echo", "none"))
    for url in (there, absent):
        assert call(cluster, "default", url, "hello").startswith("401 ")
    with token_of(cluster, "nothing") as token:
        for url in (there, absent):
            assert call(cluster, "default", url, "hello", token=token).startswith("404 ")


def test_it_is_found_and_called_over_a2a_by_its_own_name(cluster: Cluster, agents: str, token: str) -> None:
    base = f"http://echo-a2a.{agents}.svc.cluster.local"
    assert f'"{base}/api/a2a' in call(cluster, "default", f"{base}/.well-known/agent-card.json", token=token)
    part = '{"kind": "text", "text": "hello"}'
    message = f'{{"kind": "message", "messageId": "m1", "role": "user", "parts": [{part}]}}'
    body = f'{{"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {{"message": {message}}}}}'
    answer = call(cluster, "default", f"{base}/api/a2a", body, "application/json", token)
    assert "Say it back. hello" in answer
    assert "completed" in answer


def test_a_sidecar_serves_those_for_whom_the_gateway_vouches(cluster: Cluster, agents: str, token: str) -> None:
    document = agent(cluster, prompt="Beside:")
    document["metadata"]["name"] = "beside"
    document["spec"]["a2a"]["mode"] = "sidecar"
    cluster.kubectl("-n", agents, "apply", "-f", "-", given=document)
    cluster.kubectl("-n", agents, "wait", "lambdaagent/beside", "--for=condition=Ready", "--timeout=60s")
    status = cluster.get("-n", agents, "lambdaagent/beside")["status"]
    base = f"http://beside.{agents}.svc.cluster.local"
    assert status["a2aStatus"]["url"] == base
    assert {"type": "A2AReady", "status": "True"}.items() <= condition(status, "A2AReady").items()
    assert condition(status, "AccessEnforced")["reason"] == "PastSidecar"
    # A ServiceAccount's token is verified at the gateway alone.
    for path in ("/.well-known/agent-card.json", "/api/a2a/skills/echo", "/"):
        assert call(cluster, "default", f"{base}{path}", "hello", token=token).startswith("401 ")
    url = f"{GATEWAY}/agents/{agents}/beside/api/a2a/skills/echo"
    assert call(cluster, "default", url, "hi", token=token) == "Beside: hi"
    cluster.kubectl("-n", agents, "delete", "lambdaagent/beside", "--timeout=60s")


def test_the_roles_of_the_cluster_know_agents(cluster: Cluster) -> None:
    for role, verb in (("view", "watch"), ("edit", "patch"), ("admin", "*")):
        wait(lambda role=role, verb=verb: verb in _verbs(cluster, role), within=60)  # type: ignore[misc]
    assert "patch" not in _verbs(cluster, "view")


def _verbs(cluster: Cluster, role: str) -> set[str]:
    rules = cluster.get(f"clusterrole/{role}").get("rules") or []
    return {verb for rule in rules if "lambdaagents" in rule.get("resources", []) for verb in rule["verbs"]}


def test_an_edit_is_rolled_out_though_the_leader_was_killed(cluster: Cluster, agents: str, token: str) -> None:
    first = leader(cluster)
    cluster.kill(SYSTEM, first.partition("_")[0])
    cluster.kubectl("-n", agents, "apply", "-f", "-", given=agent(cluster, prompt="Say it louder."))
    wait(lambda: leader(cluster) not in ("", first), within=60)
    wait(lambda: _reported(cluster, agents), within=60)
    url = f"{GATEWAY}/agents/{agents}/echo/api/a2a/skills/echo"
    wait(lambda: call(cluster, "default", url, "hello", token=token) == "Say it louder. hello", within=60)


def _reported(cluster: Cluster, agents: str) -> bool:
    found = cluster.get("-n", agents, "lambdaagent/echo")
    current = found["status"]["observedGeneration"] == found["metadata"]["generation"]
    return bool(current and found["status"]["phase"] == "Ready")


def test_an_upgrade_keeps_the_keys_of_event_urls(cluster: Cluster, settings: list[str]) -> None:
    def keys() -> str:
        found: str = cluster.get("-n", SYSTEM, "secret/lambdaagent-event-keys")["data"]["keys"]
        return found

    made = keys()
    changed = "--set=operator.settings.logLevel=debug"
    cluster.helm("upgrade", "lambdaagent", CHART, "--wait", "--timeout=120s", *settings, changed)
    assert keys() == made
    wait(lambda: leader(cluster), within=60)


def test_the_cluster_takes_the_manifests_too(cluster: Cluster, tmp_path: Path) -> None:
    options = ("--server-side", "--force-conflicts", "--dry-run=server")
    manifests = ROOT / "manifests"
    assert "deployment.apps/lambdaagent-operator" in cluster.kubectl("apply", "-k", str(manifests), *options)
    overlay = {
        "resources": [os.path.relpath(manifests, tmp_path)],
        "components": [os.path.relpath(manifests / "rabbitmq", tmp_path)],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    assert "deployment.apps/lambdaagent-dispatcher" in cluster.kubectl("apply", "-k", str(tmp_path), *options)


def test_a_deleted_agent_and_an_uninstalled_chart_leave_nothing(
    cluster: Cluster, agents: str, before: set[str]
) -> None:
    cluster.kubectl("-n", agents, "delete", "lambdaagent", "echo", "--timeout=60s")
    cluster.helm("uninstall", "lambdaagent", "--wait", "--timeout=120s")
    # The chart keeps its CRD, because every agent would go with it.
    cluster.kubectl("delete", "crd", CRD, "--timeout=60s")
    wait(lambda: cluster.objects(SYSTEM, agents) <= before, within=60)
