import pytest

from lambdaagent import clock
from lambdaagent.gateway.config import GatewayConfig, from_settings
from lambdaagent.settings import GatewaySettings


def test_without_settings_it_is_the_default_but_for_the_address() -> None:
    found, default = from_settings(GatewaySettings(), clock.system()), GatewayConfig()
    same = ("max_body", "max_header", "max_parts", "max_batch", "refuse_unrouted", "errors", "keys", "limits")
    assert [getattr(found, name) for name in same] == [getattr(default, name) for name in same]


@pytest.mark.parametrize("url", ["https://gw.example.com/x", "https://gw.example.com/x/"])
def test_the_public_url_has_no_slash_at_its_end(url: str) -> None:
    assert from_settings(GatewaySettings(public_url=url), clock.system()).public_url == "https://gw.example.com/x"
