import pytest

from lambdaagent.events import capability
from lambdaagent.events.event_urls import agent_of, hide


@pytest.mark.parametrize(
    ("url", "agent"),
    [
        pytest.param("http://cart.shop.svc.cluster.local", "shop/cart", id="a Knative Service"),
        pytest.param("http://cart.shop.svc.cluster.local:8080/events?x=1", "shop/cart", id="with port and path"),
        pytest.param("http://cart.shop.svc", "shop/cart", id="a short name"),
        pytest.param("http://lambdaagent-events.sys.svc/events/shop/to/cart", "shop/cart", id="the gateway"),
        pytest.param("http://e.sys.svc/events/shop/to/cart/k1.abc", "shop/cart", id="the gateway with a capability"),
        pytest.param("http://e.sys.svc/events/shop", "", id="another event URL"),
        pytest.param("http://b-broker-ingress.shop.svc.cluster.local/", "", id="a Broker"),
        pytest.param("https://example.com/cart", "", id="elsewhere"),
        pytest.param("http://[bad", "", id="no URL"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_url_tells_whose_it_is(url: str, agent: str) -> None:
    assert agent_of(url) == agent


KEYS = {"k1": b"0123456789abcdef"}


@pytest.mark.parametrize("path", ["/events/shop/to/cart", "/events/shop/from/cart", "/events/shop/dead-letters"])
@pytest.mark.parametrize("around", ["{}", "not delivered to {} (last answer: 503)", "({})", "see {}, and {}?x=1"])
def test_capabilities_are_not_shown(path: str, around: str) -> None:
    segment = capability.sign(KEYS, namespace="shop", use="to", agent="cart")
    shown = hide(around.replace("{}", f"http://e.sys.svc{path}/{segment}"))
    assert segment.partition(".")[2] not in shown
    assert shown == around.replace("{}", f"http://e.sys.svc{path}/***")


def test_passwords_are_not_shown_and_the_rest_is() -> None:
    assert hide("amqps://u:p%40ss@host:5671/v failed; ask a@b.c") == "amqps://***@host:5671/v failed; ask a@b.c"
    for text in ("http://cart.shop.svc/events/shop/to/cart", "/events/shop/from/cart?x=/a", "plain"):
        assert hide(text) == text
