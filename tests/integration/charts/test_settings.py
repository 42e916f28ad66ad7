"""Settings in the chart's values: each reaches its process as a variable."""

import json
import re
from typing import Any

import pytest
from charts import generate
from tests.parts.chart import PROCESSES, SECRET, environment, on_rabbitmq, render, started_with

from lambdaagent.settings import DispatcherSettings, EventsSettings, Installation


@pytest.mark.parametrize("process", PROCESSES)
def test_namespaces_are_said_to_every_process(process: str) -> None:
    name = "LAMBDAAGENT_NAMESPACES"
    assert environment(on_rabbitmq({"namespaces": ["shop", "bank"]}), process)[name]["value"] == "shop,bank"
    assert name not in environment(on_rabbitmq(), process)


def samples(described: dict[str, Any]) -> dict[str, Any]:
    """Returns a value for each setting of the schema."""
    values = {"integer": 1234567, "number": 7.5, "boolean": True}
    texts = ("https://example.com", "example.com", "example")
    return {
        name: rule["enum"][-1]
        if "enum" in rule
        else min(values[rule["type"]], rule.get("maximum", 10**9))
        if rule["type"] in ("integer", "number")
        else next(each for each in texts if re.search(rule.get("pattern", ""), each))
        if rule["type"] == "string"
        else values[rule["type"]]
        for name, rule in described["settings"]["properties"].items()
    }


@pytest.mark.parametrize("process", ["operator", "gateway"])
def test_every_setting_arrives_as_its_variable(process: str) -> None:
    described = generate.schema()["properties"][process]["properties"]
    settings = samples(described)
    secret = {name: {"name": "own", "key": name} for name in described["secretSettings"]["properties"]}
    values = {"settings": settings, "secretSettings": {k: v for k, v in secret.items() if k not in settings}}
    env = environment(render({process: values, "storeKeys": {"existingSecret": "own"}}), process)
    for name in PROCESSES[process].model_fields:
        if name in generate.CHARTS_OWN:
            continue
        entry, key = env[f"LAMBDAAGENT_{name.upper()}"], generate.camel(name)
        if key in settings:
            assert entry["value"] == json.dumps(settings[key]).strip('"')
        else:
            assert entry["valueFrom"]["secretKeyRef"] == {"name": "own", "key": key}
    assert env["LAMBDAAGENT_EVENT_KEYS"]["valueFrom"]["secretKeyRef"]["name"] == "lambdaagent-event-keys"


def test_the_dispatcher_has_its_own_settings_and_those_that_the_operator_has() -> None:
    properties = generate.schema()["properties"]
    own, shared = samples(properties["dispatcher"]["properties"]), samples(properties["operator"]["properties"])
    documents = on_rabbitmq(
        {"operator": {"settings": shared | {"eventing": "rabbitmq"}}, "dispatcher": {"settings": own}}
    )
    env, operator = environment(documents, "dispatcher"), environment(documents, "operator")
    elsewhere = {"host", "namespaces", "amqp_url", "pod_namespace", "ca_file", "access", "access_file"}
    for name in DispatcherSettings.model_fields.keys() - elsewhere:
        variable, key = f"LAMBDAAGENT_{name.upper()}", generate.camel(name)
        if name in Installation.model_fields:
            assert env[variable] == operator[variable]
        elif key in own:
            assert env[variable]["value"] == own[key]
    assert {"queueType", "logLevel", "logFormat"} <= own.keys()
    env = environment(on_rabbitmq({"operator": {"secretSettings": {"deliveryRetry": SECRET}}}), "dispatcher")
    assert env["LAMBDAAGENT_DELIVERY_RETRY"]["valueFrom"]["secretKeyRef"] == SECRET


def test_events_go_through_rabbitmq_where_the_dispatcher_is() -> None:
    documents = on_rabbitmq()
    for process in ("operator", "dispatcher"):
        assert environment(documents, process)["LAMBDAAGENT_EVENTING"]["value"] == "rabbitmq"
    address = {"secretKeyRef": {"name": "mq", "key": "address"}}
    for process in ("gateway", "dispatcher"):
        assert environment(documents, process)["LAMBDAAGENT_AMQP_URL"]["valueFrom"] == address
    assert json.dumps(documents).count('"LAMBDAAGENT_AMQP_URL"') == 2
    documents = render()
    assert "lambdaagent-dispatcher" not in {
        each["metadata"]["name"] for each in documents if each["kind"] == "Deployment"
    }
    assert "LAMBDAAGENT_EVENTING" not in json.dumps(documents)
    assert "LAMBDAAGENT_AMQP_URL" not in json.dumps(documents)


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize(
    ("settings", "gateway", "events"),
    [
        (
            {},
            "http://lambdaagent-gateway.somewhere.svc.cluster.local",
            "http://lambdaagent-events.somewhere.svc.cluster.local",
        ),
        (
            {"clusterDomain": "example.org"},
            "http://lambdaagent-gateway.somewhere.svc.example.org",
            "http://lambdaagent-events.somewhere.svc.example.org",
        ),
        ({"eventsUrl": ""}, "http://lambdaagent-gateway.somewhere.svc.cluster.local", ""),
        ({"eventsUrl": "http://e"}, "http://lambdaagent-gateway.somewhere.svc.cluster.local", "http://e"),
    ],
)
def test_the_addresses_are_those_of_the_namespace_unless_said_otherwise(
    process: str, settings: dict[str, str], gateway: str, events: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_with(on_rabbitmq({"operator": {"settings": settings}}), process, monkeypatch)
    # The gateway's own model knows no addresses: the command that is run in its pod reads them.
    found = (EventsSettings if process == "gateway" else PROCESSES[process])()
    assert (found.gateway_url, found.events_url) == (gateway, events)
