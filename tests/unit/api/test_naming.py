import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.api import naming

TEXT = st.text(min_size=1, max_size=100)


@given(agent=TEXT, event_type=TEXT, source=st.none() | TEXT)
def test_a_trigger_name_is_a_dns_label_whatever_the_type(agent: str, event_type: str, source: str | None) -> None:
    name = naming.subscription_trigger(agent, event_type=event_type, source=source, broker="b")
    assert len(name) <= 48
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"event_type": "a-b"}, id="same slug, other type"),
        pytest.param({"source": "/s"}, id="with a source"),
        pytest.param({"broker": "c"}, id="other broker"),
    ],
)
def test_what_is_immutable_is_part_of_the_name(other: dict[str, str]) -> None:
    base = {"event_type": "a.b", "source": None, "broker": "b"}
    assert naming.subscription_trigger("x", **base) != naming.subscription_trigger("x", **{**base, **other})


def test_names_that_fit_are_left_alone() -> None:
    assert naming.a2a_service("echo") == "echo-a2a"
    assert naming.metrics_service("echo") == "echo-metrics"


def test_names_that_do_not_fit_differ_by_their_hash() -> None:
    first, second = naming.a2a_service("a" * 62 + "b"), naming.a2a_service("a" * 62 + "c")
    assert first != second
    assert len(first) == len(second) == 52


def test_the_installations_own_cluster_gets_the_plain_broker_name() -> None:
    assert naming.shared_broker(cluster="c", cluster_namespace="n", default=("c", "n")) == "lambdaagents"
    assert naming.shared_broker(cluster="d", cluster_namespace="n", default=("c", "n")).startswith("lambdaagents-")
