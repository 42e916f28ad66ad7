import pytest
from pydantic import ValidationError

from lambdaagent import clock
from lambdaagent.errors import UsageError
from lambdaagent.gateway.certificate import CertificateFiles
from lambdaagent.gateway.config import GatewayConfig, from_settings
from lambdaagent.settings import GatewaySettings


def test_without_settings_it_is_the_default_but_for_the_address() -> None:
    found, default = from_settings(GatewaySettings(), clock.system()), GatewayConfig()
    same = ("max_body", "max_header", "max_parts", "max_batch", "refuse_unrouted", "errors", "keys", "limits")
    assert [getattr(found, name) for name in same] == [getattr(default, name) for name in same]


@pytest.mark.parametrize("url", ["https://gw.example.com/x", "https://gw.example.com/x/"])
def test_the_public_url_has_no_slash_at_its_end(url: str) -> None:
    assert from_settings(GatewaySettings(public_url=url), clock.system()).public_url == "https://gw.example.com/x"


def test_the_ports_and_the_certificate_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "METRICS_PORT": "9090",
        "PLAIN_PORT": "8080",
        "TLS_CERT_FILE": "/tls/tls.crt",
        "TLS_KEY_FILE": "/tls/tls.key",
    }.items():
        monkeypatch.setenv(f"LAMBDAAGENT_{name}", value)
    found = from_settings(GatewaySettings(), clock.system())
    assert (found.metrics_port, found.plain_port) == (9090, 8080)
    assert found.tls == CertificateFiles("/tls/tls.crt", "/tls/tls.key")


def test_without_them_there_is_one_port_and_no_tls() -> None:
    found = from_settings(GatewaySettings(), clock.system())
    assert (found.metrics_port, found.plain_port, found.tls) == (None, None, None)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"tls_cert_file": "/c"}, "LAMBDAAGENT_TLS_KEY_FILE"),
        ({"tls_key_file": "/k"}, "LAMBDAAGENT_TLS_CERT_FILE"),
        ({"plain_port": 8080}, "LAMBDAAGENT_PLAIN_PORT"),
    ],
)
def test_half_of_tls_is_refused_by_what_is_missing(settings: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=f"^{named} is"):
        from_settings(GatewaySettings(**settings), clock.system())  # type: ignore[arg-type]


@pytest.mark.parametrize("port", ["", "http", "-1", "65536"])
def test_what_is_no_port_is_refused(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDAAGENT_METRICS_PORT", port)
    with pytest.raises(ValidationError, match="metrics_port"):
        GatewaySettings()


def test_the_catalogue_is_that_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDAAGENT_CATALOG_PUBLISHER", "agents.example.com")
    monkeypatch.setenv("LAMBDAAGENT_CATALOG_PEERS", " https://eu.example.org/ard/, http://10.0.0.7:8080/api/v1 ")
    found = from_settings(GatewaySettings(), clock.system())
    assert found.catalog.publisher == "agents.example.com"
    assert found.peers == ("https://eu.example.org/ard", "http://10.0.0.7:8080/api/v1")


@pytest.mark.parametrize(
    "publisher", ["localhost", "Example.com", "a b.com", "-x.com", "x..com", "10.0.0.7", "x.com:1"]
)
def test_what_is_no_domain_cannot_publish(publisher: str) -> None:
    with pytest.raises(ValidationError, match="catalog_publisher"):
        GatewaySettings(catalog_publisher=publisher)


@pytest.mark.parametrize(
    "peers",
    [
        "eu.example.org", "ftp://x.org", "https://u:p@x.org", "https://x.org/a?b=1", "https://x.org/#a", "https://x.org/../a",
        "https://x.org/a%2fb", "https://[::1]/ard", "https://x.org/ard,https://x.org/ard/",
        ",".join(f"https://x{number}.org" for number in range(65)),
    ],
)  # fmt: skip
def test_what_is_no_list_of_registries_is_refused(peers: str) -> None:
    with pytest.raises(ValidationError, match="catalog_peers"):
        GatewaySettings(catalog_peers=peers)


@pytest.mark.parametrize(
    ("peers", "named"),
    [
        ("https://gw.example.com/ard", "this gateway itself"),
        ("https://agents.example.com/ard", "this gateway itself"),
        ("https://x.org/ard,https://x.org:8443/ard", "what https://x.org/ard names too"),
    ],
)
def test_a_registry_is_named_once(peers: str, named: str) -> None:
    settings = GatewaySettings(
        public_url="https://gw.example.com", catalog_publisher="agents.example.com", catalog_peers=peers
    )
    with pytest.raises(UsageError, match=named):
        from_settings(settings, clock.system())
