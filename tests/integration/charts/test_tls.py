"""`gateway.tls`: https for clients, and plain HTTP inside the cluster, to which every other process is pointed."""

from typing import Any

import pytest
from charts import generate
from tests.parts import pods
from tests.parts.chart import RABBITMQ, SECRET, container, environment, find, helm, on_rabbitmq, render, started_with
from tests.parts.kubernetes import KubeApiserver

from lambdaagent import clock
from lambdaagent.gateway.config import from_settings
from lambdaagent.settings import DispatcherSettings, GatewaySettings, OperatorSettings

TLS = {"gateway": {"tls": {"existingSecret": "cert"}}}
CLUSTER = "http://lambdaagent-events.somewhere.svc.cluster.local"


def ports(documents: list[dict[str, Any]], service: str) -> list[tuple[str, int]]:
    return [(each["targetPort"], each["port"]) for each in find(documents, "Service", service)["spec"]["ports"]]


def test_the_public_service_has_https_alone_and_the_cluster_s_own_plain_http() -> None:
    documents = render(TLS)
    assert ports(documents, "lambdaagent-gateway") == [("https", 443)]
    assert ports(documents, "lambdaagent-events") == [("http", 80)]
    for service in ("lambdaagent-gateway", "lambdaagent-events"):
        assert ports(render(), service) == [("http", 80)]


def test_the_gateway_starts_with_what_it_gets(monkeypatch: pytest.MonkeyPatch, kube_apiserver: KubeApiserver) -> None:
    documents = on_rabbitmq(TLS)
    started_with(documents, "gateway", monkeypatch)
    config = from_settings(GatewaySettings(), clock.system())
    unit = container(documents, "gateway")
    named = {each["name"]: each["containerPort"] for each in unit["ports"]}
    assert named == {"http": config.plain_port, "https": config.port, "metrics": config.metrics_port}
    assert config.tls is not None
    (mount,) = [each for each in unit["volumeMounts"] if each["name"] == "tls"]
    for path, key in ((config.tls.certificate, "tls.crt"), (config.tls.key, "tls.key")):
        assert path == f"{mount['mountPath']}/{key}"  # the entries of a Secret of the type kubernetes.io/tls
    template = find(documents, "Deployment", "lambdaagent-gateway")["spec"]["template"]
    (volume,) = [each for each in template["spec"]["volumes"] if each["name"] == "tls"]
    assert volume["secret"] == {"secretName": "cert"}
    template["spec"].pop("serviceAccountName")
    template["spec"]["automountServiceAccountToken"] = False
    pods.create(kube_apiserver.rest, "default", template)


def test_without_it_there_is_one_port_for_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = render()
    started_with(documents, "gateway", monkeypatch)
    config = from_settings(GatewaySettings(), clock.system())
    assert (config.port, config.plain_port, config.tls, config.metrics_port) == (8080, None, None, 9090)


@pytest.mark.parametrize(("process", "model"), [("operator", OperatorSettings), ("dispatcher", DispatcherSettings)])
@pytest.mark.parametrize(
    ("settings", "gateway"),
    [
        ({}, CLUSTER),
        ({"clusterDomain": "a.example"}, "http://lambdaagent-events.somewhere.svc.a.example"),
        ({"gatewayUrl": "https://gw.example"}, "https://gw.example"),
        ({"gatewayUrl": ""}, ""),
    ],
)
def test_the_others_reach_it_in_plain_http(
    process: str,
    model: type[OperatorSettings | DispatcherSettings],
    settings: dict[str, str],
    gateway: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started_with(on_rabbitmq(TLS | {"operator": {"settings": settings}}), process, monkeypatch)
    found = model()
    assert found.gateway_url == gateway
    assert found.events_url.startswith("http://lambdaagent-events.somewhere.svc.")


def test_an_address_from_a_secret_is_kept() -> None:
    documents = on_rabbitmq(TLS | {"operator": {"secretSettings": {"gatewayUrl": SECRET}}})
    entry = environment(documents, "operator")["LAMBDAAGENT_GATEWAY_URL"]
    assert entry["valueFrom"]["secretKeyRef"] == SECRET


def test_a_domain_that_is_hidden_is_refused_with_what_to_do() -> None:
    values = RABBITMQ | TLS | {"operator": {"secretSettings": {"clusterDomain": SECRET}}}
    done = helm("template", "x", str(generate.CHART), values=values)
    assert done.returncode != 0
    assert "operator.settings.gatewayUrl" in done.stderr
