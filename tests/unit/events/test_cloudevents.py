from typing import Any

import pytest

from lambdaagent.events.cloudevents import Event, from_attributes
from lambdaagent.events.errors import InvalidAttributeError, MissingAttributeError

LEAST = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "parcel.created"}


def test_the_least_event_has_only_what_the_specification_requires() -> None:
    assert Event(id="1", source="/shop", type="parcel.created").attributes() == LEAST


def test_every_attribute_survives_the_way_there_and_back() -> None:
    event = Event(
        id="1",
        source="/shop",
        type="t",
        data=b"\x00",
        datacontenttype="application/octet-stream",
        subject="s",
        time="2026-01-31T12:00:00.123456789+01:00",
        dataschema="https://example.com/schema",
        extensions={"traceparent": "00-0af7-01", "count": 3, "urgent": True},
    )
    assert from_attributes(event.attributes(), data=b"\x00") == event


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda attributes, name: attributes.pop(name), id="absent"),
        pytest.param(lambda attributes, name: attributes.update({name: ""}), id="empty"),
        pytest.param(lambda attributes, name: attributes.update({name: None}), id="null"),
    ],
)
def test_a_missing_required_attribute_is_named(name: str, broken: Any) -> None:
    attributes: dict[str, Any] = dict(LEAST)
    broken(attributes, name)
    with pytest.raises(MissingAttributeError) as raised:
        from_attributes(attributes)
    assert raised.value.attribute == name
    assert f"'{name}'" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("specversion", "0.3", id="another specversion"),
        pytest.param("id", 7, id="an id that is a number"),
        pytest.param("type", "a\nb", id="a line feed"),
        pytest.param("subject", "\ud800", id="a lone surrogate"),
        pytest.param("time", "yesterday", id="a time that is none"),
        pytest.param("time", "2026-02-30T00:00:00Z", id="a day that is none"),
        pytest.param("Count", 1, id="an upper-case extension"),
        pytest.param("data", "x", id="data as an extension"),
        pytest.param("count", 2**31, id="an integer over 32 bits"),
        pytest.param("count", 1.5, id="a float"),
        pytest.param("list", [1], id="a list"),
    ],
)
def test_an_invalid_attribute_is_named(name: str, value: Any) -> None:
    with pytest.raises(InvalidAttributeError) as raised:
        from_attributes({**LEAST, name: value})
    assert raised.value.attribute == name


def test_an_empty_optional_attribute_counts_as_absent() -> None:
    assert from_attributes({**LEAST, "subject": "", "datacontenttype": None}) == from_attributes(LEAST)
