"""The settings that the environment may hold, and the values that are refused."""

import base64

import pytest
from pydantic import ValidationError

from lambdaagent.cli.processes import read_settings
from lambdaagent.errors import UsageError
from lambdaagent.settings import (
    DispatcherSettings,
    EventsSettings,
    GatewaySettings,
    Installation,
    OperatorSettings,
    TaskSettings,
)

LONG = "a" * 63


@pytest.mark.parametrize("model", [Installation, OperatorSettings, GatewaySettings])
@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("", (), id="none are all"),
        pytest.param(" ", (), id="blank is none"),
        pytest.param("shop", ("shop",), id="one"),
        pytest.param("shop, bank-1", ("shop", "bank-1"), id="two, in order"),
        pytest.param(LONG, (LONG,), id="the longest"),
    ],
)
def test_namespaces_are_read_from_a_list(
    model: type[Installation], text: str, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMBDAAGENT_NAMESPACES", text)
    assert model().namespaces == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("shop,", "'' is not a namespace", id="a stray comma"),
        pytest.param(",", "'' is not a namespace", id="only a comma, which must not mean all"),
        pytest.param("Shop", "'Shop' is not a namespace", id="upper case"),
        pytest.param("-shop", "'-shop' is not a namespace", id="a leading dash"),
        pytest.param("a.b", "'a.b' is not a namespace", id="a dot"),
        pytest.param("*", "is not a namespace", id="a pattern"),
        pytest.param(LONG + "a", "is not a namespace", id="too long"),
        pytest.param("shop,bank,shop", "shop occurs more than once", id="twice"),
    ],
)
def test_what_is_no_list_of_namespaces_is_refused(text: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDAAGENT_NAMESPACES", text)
    with pytest.raises(ValidationError, match="namespaces") as refused:
        OperatorSettings()
    assert said in str(refused.value)


@pytest.mark.parametrize("model", [Installation, OperatorSettings, DispatcherSettings, EventsSettings])
@pytest.mark.parametrize(
    ("variables", "gateway"),
    [
        ({}, "http://lambdaagent-gateway.lambdaagent-system.svc.cluster.local"),
        ({"POD_NAMESPACE": "shop"}, "http://lambdaagent-gateway.shop.svc.cluster.local"),
        (
            {"POD_NAMESPACE": "shop", "LAMBDAAGENT_CLUSTER_DOMAIN": "a.example"},
            "http://lambdaagent-gateway.shop.svc.a.example",
        ),
        ({"POD_NAMESPACE": "shop", "LAMBDAAGENT_GATEWAY_URL": ""}, ""),
        ({"POD_NAMESPACE": "shop", "LAMBDAAGENT_GATEWAY_URL": "http://said/"}, "http://said"),
    ],
)
def test_services_are_looked_for_beside_the_process(
    model: type[Installation], variables: dict[str, str], gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = model()
    assert found.gateway_url == gateway
    namespace, domain = variables.get("POD_NAMESPACE", "lambdaagent-system"), found.cluster_domain
    assert found.events_url == f"http://lambdaagent-events.{namespace}.svc.{domain}"


def test_only_what_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDAAGENT_EVENT_KEYS", "k1:short")
    with pytest.raises(UsageError) as refused:
        read_settings(Installation)
    assert "LAMBDAAGENT_EVENT_KEYS" in str(refused.value)
    assert "_URL" not in str(refused.value)


KEY = base64.b64encode(b"1" * 32).decode()


@pytest.mark.parametrize("model", [GatewaySettings, DispatcherSettings, EventsSettings])
def test_keys_of_the_database_are_read_in_order(model: type[TaskSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    assert (model().sealing_keys, model().encrypt_payloads) == ({}, False)
    monkeypatch.setenv("LAMBDAAGENT_STORE_KEYS", f"k2:{KEY}, k1:{KEY}")
    monkeypatch.setenv("LAMBDAAGENT_ENCRYPT_PAYLOADS", "true")
    assert list(model().sealing_keys.items()) == [("k2", b"1" * 32), ("k1", b"1" * 32)]
    assert KEY not in repr(model())


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        pytest.param(KEY, "store key 1 must be", id="no id"),
        pytest.param(f"k-1:{KEY}", "store key 1 must be", id="an id with another character"),
        pytest.param(f"{'k' * 33}:{KEY}", "store key 1 must be", id="a long id"),
        pytest.param(f"k\u00e4:{KEY}", "store key 1 must be", id="an id that is not ASCII"),
        pytest.param(f"k1:{KEY},k2:MTIzNDU2Nzg5MDEyMzQ1Ng==", "store key 2 must be", id="16 bytes"),
        pytest.param(f"k1:{KEY[:-1]}", "store key 1 must be", id="no base64"),
        pytest.param("k1:\u00e9", "store key 1 must be", id="not ASCII"),
        pytest.param(f"k1:{KEY},k1:{KEY}", "store key 2 has the id of another one", id="an id twice"),
    ],
)
def test_keys_of_the_database_are_refused_without_their_value(
    keys: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMBDAAGENT_STORE_KEYS", keys)
    monkeypatch.setenv("LAMBDAAGENT_ENCRYPT_PAYLOADS", "true")
    with pytest.raises(UsageError) as refused:
        read_settings(GatewaySettings)
    assert str(refused.value).startswith(f"LAMBDAAGENT_STORE_KEYS: Value error, {said}")
    assert KEY[:-1] not in str(refused.value)
    assert "ENCRYPT_PAYLOADS" not in str(refused.value)


def test_payloads_are_not_encrypted_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDAAGENT_ENCRYPT_PAYLOADS", "true")
    with pytest.raises(UsageError, match=r"LAMBDAAGENT_ENCRYPT_PAYLOADS: .* set LAMBDAAGENT_STORE_KEYS"):
        read_settings(GatewaySettings)
