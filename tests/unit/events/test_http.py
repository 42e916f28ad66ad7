"""CloudEvents over HTTP: reading, writing, and exchange with the public library."""

from typing import Any

import orjson
import pytest
from cloudevents.core.bindings import http as library
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from tests.parts import cloudevent_bodies

from lambdaagent.events import http
from lambdaagent.events.cloudevents import Event, Value
from lambdaagent.events.errors import EventError, InvalidAttributeError, MissingAttributeError

CE = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": "parcel.created"}
TEXT = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x2FFF, exclude_categories=("Cc", "Cs", "Cn")), min_size=1
)


def event_of(subject: str, data: bytes, extensions: dict[str, Value]) -> Event:
    fields = {"subject": subject, "data": data, "datacontenttype": "application/x"}
    return Event(id="1", source="/s", type="t", extensions=extensions, **fields)  # type: ignore[arg-type]


@given(TEXT, st.binary(max_size=64))
def test_binary_mode_keeps_every_character_and_every_byte(subject: str, data: bytes) -> None:
    event = event_of(subject, data, {"a": subject})
    headers, body = http.binary(event)
    assert body is data
    assert all(value.isascii() and value.isprintable() for _, value in headers)
    assert http.read(dict(headers), body) == [event]


@given(TEXT, st.binary(max_size=64))
def test_structured_mode_and_batches_keep_every_character_and_every_byte(subject: str, data: bytes) -> None:
    event = event_of(subject, data, {"n": 7, "b": True})
    headers, body = cloudevent_bodies.structured(event)
    assert http.read(dict(headers), body) == [event]
    headers, body = cloudevent_bodies.batch([event, event])
    assert http.read(dict(headers), body) == [event, event]


def test_json_data_keeps_its_own_text_in_structured_mode() -> None:
    data = b'{"price": 1.10, "n": 123456789012345678901234567890}'
    headers, body = cloudevent_bodies.structured(
        Event(id="1", source="/s", type="t", data=data, datacontenttype="application/json")
    )
    assert data in body
    assert http.read(dict(headers), body)[0].data == data


def test_text_travels_as_a_json_string_and_comes_back_as_text() -> None:
    event = Event(id="1", source="/s", type="t", data="grüß".encode(), datacontenttype="text/plain")
    headers, body = cloudevent_bodies.structured(event)
    assert orjson.loads(body)["data"] == "grüß"
    assert http.read(dict(headers), body) == [event]


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_data_that_is_not_what_its_type_says_travels_as_base64(content_type: str) -> None:
    event = Event(id="1", source="/s", type="t", data=b"\xff{", datacontenttype=content_type)
    headers, body = cloudevent_bodies.structured(event)
    assert "data_base64" in orjson.loads(body)
    assert http.read(dict(headers), body) == [event]


def test_json_data_without_a_content_type_is_said_to_be_json() -> None:
    body = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1}}'
    event = http.read({"Content-Type": "application/cloudevents+json; charset=utf-8"}, body)[0]
    assert (event.datacontenttype, event.data) == ("application/json", b'{"a":1}')


@pytest.mark.parametrize(
    ("header", "value"),
    [
        pytest.param("Euro %E2%82%AC %F0%9F%98%80", "Euro € 😀", id="percent-encoded"),
        pytest.param("%e2%82%ac", "€", id="lower-case hex"),
        pytest.param('"a \\"b\\" c"', 'a "b" c', id="a quoted string of an older sender"),
        pytest.param("a%2", "a%2", id="a stray percent sign"),
        pytest.param("grüß", "grüß", id="raw UTF-8"),
    ],
)
def test_header_values_are_decoded_as_the_binding_says(header: str, value: str) -> None:
    assert http.read({**CE, "ce-subject": header}, b"")[0].subject == value


@pytest.mark.parametrize("missing", ["specversion", "id", "source", "type"])
def test_a_missing_attribute_is_named_and_never_made_up(missing: str) -> None:
    headers = {name: value for name, value in CE.items() if name != f"ce-{missing}"}
    with pytest.raises(MissingAttributeError) as raised:
        http.read(headers, b"{}")
    assert raised.value.attribute == missing


def test_a_repeated_attribute_is_refused() -> None:
    headers: CIMultiDict[str] = CIMultiDict(CE)
    headers.add("Ce-Id", "2")
    with pytest.raises(InvalidAttributeError, match="twice"):
        http.read(headers, b"")


LEAST = '"specversion":"1.0","id":"1","source":"/s","type":"t"'


@pytest.mark.parametrize(
    ("content_type", "body", "says"),
    [
        pytest.param("application/json", b"{}", "ce-specversion", id="no event at all"),
        pytest.param("application/cloudevents+xml", b"<x/>", "unsupported CloudEvents format", id="another format"),
        pytest.param(http.STRUCTURED, b"[]", "expected '{'", id="structured and an array"),
        pytest.param(http.STRUCTURED, b"{", "member name", id="cut short"),
        pytest.param(http.STRUCTURED, b'{"id" 1}', "':'", id="no colon"),
        pytest.param(http.STRUCTURED, b'{"id":1 2}', "','", id="no comma"),
        pytest.param(http.STRUCTURED, b'{"a":NaN}', "NaN", id="NaN"),
        pytest.param(http.STRUCTURED, b"{} x", "after the end", id="more after the end"),
        pytest.param(http.STRUCTURED, b"\xff", "UTF-8", id="not UTF-8"),
        pytest.param(http.STRUCTURED, b'{"a":' + b"[" * 50_000, "JSON", id="nested without end"),
        pytest.param(http.STRUCTURED, b'{"a":' + b"[" * 100_000, "too many values", id="nested farther than is read"),
        pytest.param(
            http.STRUCTURED, f'{{{LEAST},"data":1,"data_base64":"eA=="}}'.encode(), "both", id="two kinds of data"
        ),
        pytest.param(http.STRUCTURED, f'{{{LEAST},"data_base64":"?"}}'.encode(), "base64", id="not base64"),
        pytest.param(http.BATCH, b"{}", "JSON array", id="a batch that is an object"),
        pytest.param(
            http.BATCH,
            f'[{{{LEAST}}},{{"id":"1"}}]'.encode(),
            "event 1 of the batch: .*'specversion'",
            id="one bad event",
        ),
    ],
)
def test_what_cannot_be_read_is_said(content_type: str, body: bytes, says: str) -> None:
    with pytest.raises(EventError, match=says):
        http.read({"content-type": content_type}, body)


def test_an_empty_batch_is_no_event_and_no_error() -> None:
    assert http.read({"content-type": http.BATCH}, b" [ ] ") == []


def test_null_members_count_as_absent() -> None:
    assert http.read({"content-type": http.STRUCTURED}, f'{{{LEAST},"subject":null,"data":null}}'.encode()) == [
        Event(id="1", source="/s", type="t")
    ]


def library_event() -> CloudEvent:
    attributes: dict[str, Any] = {
        "id": "1",
        "source": "/s",
        "type": "t",
        "subject": "a b%ü",
        "datacontenttype": "application/json",
        "count": 3,
    }
    return CloudEvent(attributes, {"a": [1, "ü"]})


@pytest.mark.parametrize("write", [library.to_binary_event, library.to_structured_event])
def test_what_the_public_library_writes_is_read_here(write: Any) -> None:
    message = write(library_event())
    event = http.read(message.headers, message.body)[0]
    assert (event.id, event.source, event.type, event.subject) == ("1", "/s", "t", "a b%ü")
    assert orjson.loads(event.data) == {"a": [1, "ü"]}


@pytest.mark.parametrize("write", [http.binary, cloudevent_bodies.structured])
def test_what_is_written_here_is_read_by_the_public_library(write: Any) -> None:
    event = Event(
        id="1",
        source="/s",
        type="t",
        subject='a "b" %ü',
        data=b'{"a":1}',
        datacontenttype="application/json",
        extensions={"a2ataskid": "t-1"},
    )
    headers, body = write(event)
    seen = library.from_http_event(library.HTTPMessage(dict(headers), body))
    assert (seen.get_id(), seen.get_subject(), seen.get_data()) == ("1", 'a "b" %ü', {"a": 1})
    assert seen.get_extension("a2ataskid") == "t-1"
