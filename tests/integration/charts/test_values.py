"""Values of the chart: which it refuses and what the error names, and what an empty or absent value means."""

import json
from typing import Any

import pytest
import yaml
from charts import generate
from tests.parts.chart import PROCESSES, RABBITMQ, SECRET, container, environment, find, helm, on_rabbitmq, render


@pytest.mark.parametrize(
    ("values", "next_step"),
    [
        pytest.param({"dispatcher": {"enabled": True}}, "rabbitmq.existingSecret", id="no address"),
        pytest.param(
            RABBITMQ | {"operator": {"settings": {"eventing": "knative"}}},
            "operator.settings.eventing is knative",
            id="two opinions",
        ),
        pytest.param(
            RABBITMQ | {"operator": {"secretSettings": {"eventing": {"name": "a", "key": "b"}}}},
            "operator.settings.eventing is from a Secret",
            id="two opinions, one hidden",
        ),
        pytest.param(
            {"operator": {"settings": {"eventing": "rabbitmq"}}}, "set dispatcher.enabled", id="nobody delivers"
        ),
        pytest.param(
            {"gateway": {"settings": {"database": "postgresql://h/d"}, "secretSettings": {"database": SECRET}}},
            "database is among both settings and secretSettings",
            id="two databases",
        ),
        pytest.param(
            {"operator": {"settings": {"clusterDomain": "a.b"}, "secretSettings": {"clusterDomain": SECRET}}},
            "clusterDomain is among both settings and secretSettings",
            id="a setting of all processes twice",
        ),
        pytest.param(
            {"operator": {"settings": {"lifecycleEvents": False}, "secretSettings": {"lifecycleEvents": SECRET}}},
            "lifecycleEvents is among both settings and secretSettings",
            id="false is a value too",
        ),
        pytest.param({"rabbitmq": {"existingSecret": "mq"}}, "set dispatcher.enabled", id="an address for nobody"),
        pytest.param(
            {"externalAgents": {"secrets": [{"namespace": "shop"}, {"namespace": "shop", "names": ["partner"]}]}},
            "externalAgents.secrets names the namespace shop twice",
            id="two rights in one namespace",
        ),
        pytest.param(
            {"gateway": {"settings": {"encryptPayloads": True}}},
            "storeKeys.existingSecret",
            id="no keys to encrypt with",
        ),
    ],
)
def test_a_contradiction_is_refused_with_what_to_do(values: Any, next_step: str) -> None:
    done = helm("template", "lambdaagent", str(generate.CHART), values=values)
    assert done.returncode != 0
    assert next_step in done.stderr


@pytest.mark.parametrize(
    ("values", "place"),
    [
        pytest.param({"operater": {}}, "operater", id="an unknown block"),
        pytest.param({"operator": {"settings": {"servin": "knative"}}}, "servin", id="an unknown setting"),
        pytest.param({"operator": {"settings": {"serving": "nomad"}}}, "serving", id="an unknown choice"),
        pytest.param({"gateway": {"settings": {"amqpUrl": "amqp://u:p@h"}}}, "amqpUrl", id="a secret in plain sight"),
        pytest.param({"dispatcher": {"settings": {"amqpUrl": "amqp://u:p@h"}}}, "amqpUrl", id="the same, elsewhere"),
        pytest.param({"dispatcher": {"settings": {"deliveryRetry": 2}}}, "deliveryRetry", id="what the operator has"),
        pytest.param({"gateway": {"settings": {"database": "postgresql://u:p@h/d"}}}, "database", id="a password"),
        pytest.param({"image": {"digest": "abc"}}, "digest", id="half a digest"),
        pytest.param({"namespaces": ["Shop"]}, "namespaces", id="no namespace"),
        pytest.param({"namespaces": ["shop", "shop"]}, "namespaces", id="a namespace twice"),
        pytest.param({"gateway": {"replicas": "two"}}, "replicas", id="a number in words"),
    ],
)
def test_a_wrong_value_is_refused_by_its_place(values: Any, place: str) -> None:
    done = helm("template", "lambdaagent", str(generate.CHART), values=values)
    assert done.returncode != 0
    assert place in done.stderr


def nothing_in(values: Any) -> list[dict[str, Any]]:
    """Returns values that each have one empty block, at any depth; in a security context that has a meaning."""
    found: list[dict[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            within = nothing_in(value) if key != "podSecurityContext" else []
            found += [{key: None}, *({key: inner} for inner in within)]
    return found


@pytest.mark.parametrize(
    "values", nothing_in(yaml.safe_load((generate.CHART / "values.yaml").read_text())), ids=lambda each: str(each)[:60]
)
def test_an_empty_block_is_like_an_absent_one(values: dict[str, Any]) -> None:
    def bare(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [each for each in documents if each["kind"] != "Secret"]  # its value is new each time

    assert bare(render(values)) == bare(render())


def test_nothing_that_is_said_counts_as_empty() -> None:
    values = {"operator": {"replicas": 0, "settings": {"gatewayUrl": ""}}, "image": {"tag": ""}, "imagePullSecrets": []}
    made = find(render(values), "Deployment", "lambdaagent-operator")
    assert made["spec"]["replicas"] == 0
    assert environment(render(values), "operator")["LAMBDAAGENT_GATEWAY_URL"]["value"] == ""
    version = yaml.safe_load((generate.CHART / "Chart.yaml").read_text())["appVersion"]
    assert container(render(values), "operator")["image"] == f"dev.local/lambdaagent:{version}"


def test_a_secret_of_the_users_own_replaces_the_chart_s() -> None:
    documents = on_rabbitmq({"eventKeys": {"existingSecret": "mine"}, "signingKey": {"existingSecret": "ours"}})
    assert [document for document in documents if document["kind"] == "Secret"] == []
    for process in PROCESSES:
        entry = environment(documents, process)["LAMBDAAGENT_EVENT_KEYS"]
        assert entry["valueFrom"]["secretKeyRef"] == {"name": "mine", "key": "keys"}


def test_only_the_gateway_gets_the_keys_of_the_database() -> None:
    secret = {"gateway": {"secretSettings": {"database": SECRET}}}
    assert "LAMBDAAGENT_STORE_KEYS" not in json.dumps(on_rabbitmq(secret))
    documents = on_rabbitmq(secret | {"storeKeys": {"existingSecret": "mine"}})
    entry = environment(documents, "gateway")["LAMBDAAGENT_STORE_KEYS"]
    assert entry["valueFrom"]["secretKeyRef"] == {"name": "mine", "key": "keys"}
    assert json.dumps(documents).count('"LAMBDAAGENT_STORE_KEYS"') == 1
    assert "LAMBDAAGENT_ENCRYPT_PAYLOADS" not in json.dumps(documents)


def test_payloads_are_encrypted_with_keys() -> None:
    values = {"gateway": {"settings": {"encryptPayloads": True}}, "storeKeys": {"existingSecret": "mine"}}
    env = environment(render(values), "gateway")
    assert env["LAMBDAAGENT_ENCRYPT_PAYLOADS"]["value"] == "true"
