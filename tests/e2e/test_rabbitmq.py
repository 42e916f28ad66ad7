"""Events of an installation on plain RabbitMQ: sent to the gateway, delivered by whichever dispatcher lives."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.cluster import SYSTEM, Cluster
from tests.e2e.conftest import CRD, image_options, installed
from tests.e2e.rabbitmq import rabbitmq
from tests.e2e.using import GATEWAY, agent, call, condition, token_of
from tests.parts.polling import wait

from lambdaagent.api import naming

pytestmark = pytest.mark.usefixtures("on_rabbitmq")
_SECRET = "rabbitmq"
_BATCH = "application/cloudevents-batch+json"


@pytest.fixture(scope="module")
def on_rabbitmq(cluster: Cluster, before: set[str], agents: str) -> Iterator[None]:
    with rabbitmq(cluster) as url:
        cluster.kubectl("-n", SYSTEM, "create", "secret", "generic", _SECRET, f"--from-literal=url={url}")
        options = [
            "--set=operator.settings.serving=kubernetes",
            f"--set=dispatcher.enabled=true,rabbitmq.existingSecret={_SECRET}",
        ]
        try:
            with installed(cluster, agents, *image_options(cluster), *options):
                yield
        finally:
            cluster.kubectl("-n", SYSTEM, "delete", "secret", _SECRET, "--ignore-not-found")


def dispatchers(cluster: Cluster) -> list[str]:
    pods = cluster.get("-n", SYSTEM, "pods", "--selector=app.kubernetes.io/component=dispatcher")["items"]
    return [pod["metadata"]["name"] for pod in pods]


@pytest.fixture(scope="module")
def token(cluster: Cluster, on_rabbitmq: None) -> Iterator[str]:
    with token_of(cluster, "supervisor") as found:
        yield found


def greet(cluster: Cluster, url: str, *names: str, token: str = "") -> None:
    """Sends an event for each name to `url`."""
    sent = {"specversion": "1.0", "source": "/e2e", "type": "io.example.greeting", "datacontenttype": "text/plain"}
    batch = [sent | {"id": name, "data": name} for name in names]
    assert call(cluster, "default", url, json.dumps(batch), _BATCH, token) == ""


def greeted(cluster: Cluster, agents: str, name: str) -> bool:
    return f"greeted by /e2e: {name}\n" in cluster.kubectl("-n", agents, "logs", "deployment/echo")


def test_an_agent_is_ready_when_the_dispatcher_says_that_its_queue_stands(cluster: Cluster, agents: str) -> None:
    document = agent(cluster, prompt="Say it back.", eventing=True)
    document["spec"]["a2a"]["skills"][0]["invoke"] = {"mode": "async"}
    cluster.kubectl("-n", agents, "apply", "-f", "-", given=document)
    cluster.kubectl("-n", agents, "wait", "lambdaagent/echo", "--for=condition=Ready", "--timeout=60s")
    found = cluster.get("-n", agents, "lambdaagent/echo", "--show-managed-fields")
    said = condition(found["status"], "EventingReady")
    assert (said["status"], said["reason"]) == ("True", "Ready")
    assert naming.queue(agents, "echo") in said["message"]
    fields = {entry["manager"]: json.dumps(entry) for entry in found["metadata"]["managedFields"]}
    assert "EventingReady" in fields[naming.STATUS_OF_DISPATCHER]
    assert "Ready" in cluster.kubectl("-n", agents, "get", "lambdaagents").splitlines()[1]


def test_an_event_sent_to_the_gateway_reaches_the_agent(cluster: Cluster, agents: str, token: str) -> None:
    assert call(cluster, "default", f"{GATEWAY}/events/{agents}", "[]", _BATCH).startswith("401 ")
    greet(cluster, f"{GATEWAY}/events/{agents}", "anna", token=token)
    wait(lambda: greeted(cluster, agents, "anna"), within=60)


def test_an_event_sent_by_the_agent_goes_the_same_way(cluster: Cluster, agents: str) -> None:
    (container,) = cluster.get("-n", agents, "deployment/echo")["spec"]["template"]["spec"]["containers"]
    sink = next(entry["value"] for entry in container["env"] if entry["name"] == "K_SINK")
    assert sink.startswith(f"http://lambdaagent-events.{SYSTEM}.svc.cluster.local/events/{agents}/from/echo/")
    greet(cluster, sink, "bert")
    wait(lambda: greeted(cluster, agents, "bert"), within=60)


def test_dead_letters_are_listed_by_the_command_in_the_gateways_image(cluster: Cluster, agents: str) -> None:
    """As docs/guides/events.md has it."""
    way_in = ("exec", "-i", "deploy/lambdaagent-gateway", "--", "lambdaagent", "events", "dlq")
    listed = json.loads(cluster.kubectl("-n", SYSTEM, *way_in, "list", "-n", agents, "-o", "json"))
    assert listed == {"items": []}


def test_a_task_of_an_async_skill_is_completed_through_the_queue(cluster: Cluster, agents: str, token: str) -> None:
    answer = ask(cluster, agents, "hello", token)
    assert answer["result"]["status"]["state"] == "completed", answer
    assert answer["result"]["artifacts"][0]["parts"][0]["text"] == "Say it back. hello"


def ask(cluster: Cluster, agents: str, text: str, token: str) -> Any:
    message = {"kind": "message", "messageId": "m1", "role": "user", "parts": [{"kind": "text", "text": text}]}
    body = {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": message}}
    url = f"http://echo-a2a.{agents}.svc.cluster.local/api/a2a"
    return json.loads(call(cluster, "default", url, json.dumps(body), "application/json", token))


def test_events_are_delivered_whichever_dispatcher_dies(cluster: Cluster, agents: str, token: str) -> None:
    both = dispatchers(cluster)
    assert len(both) == 2
    # Of two, one consumes the queue: this way, each event comes after a death, and one of the deaths was that one's.
    for number, pod in enumerate(both):
        cluster.kill(SYSTEM, pod)
        names = [f"guest-{number}-{each}" for each in range(5)]
        greet(cluster, f"{GATEWAY}/events/{agents}", *names, token=token)
        for name in names:
            wait(lambda name=name: greeted(cluster, agents, name), within=60)  # type: ignore[misc]
        cluster.kubectl("-n", SYSTEM, "rollout", "status", "deployment/lambdaagent-dispatcher", "--timeout=60s")
    assert condition(cluster.get("-n", agents, "lambdaagent/echo")["status"], "Ready")["status"] == "True"


def test_nothing_of_it_stays(cluster: Cluster, agents: str, before: set[str]) -> None:
    cluster.kubectl("-n", agents, "delete", "lambdaagent", "echo", "--timeout=60s")
    cluster.helm("uninstall", "lambdaagent", "--wait", "--timeout=120s")
    cluster.kubectl("delete", "crd", CRD, "--timeout=60s")
    cluster.kubectl("-n", SYSTEM, "delete", "secret", _SECRET)
    wait(lambda: cluster.objects(SYSTEM, agents) <= before, within=60)
