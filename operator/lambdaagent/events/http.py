"""CloudEvents over HTTP 1.0.2: reads and writes binary, structured and batch mode.

In binary mode the bytes of the data are kept; in structured mode a JSON value keeps its own text. Nothing is filled in:
an event without an id is an error. Attribute values are percent-encoded in headers per section 3.1.3.2 of the HTTP
binding, which also makes header injection impossible.
"""

import asyncio
import re
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator, Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from lambdaagent import bounded_json, json_slices
from lambdaagent.events import charsets
from lambdaagent.events.cloudevents import Event, Value, from_attributes
from lambdaagent.events.errors import (
    EventError,
    InvalidAttributeError,
    MalformedEventError,
    NotAnEventError,
    TooManyError,
)

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
Headers = list[tuple[str, str]]

# U+0021 to U+007E except the double quote and the percent sign are not encoded (HTTP binding 3.1.3.2).
_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_PLAIN = re.compile(f"[{re.escape(_SAFE)}]*")
_QUOTED = re.compile(r"\\(.)")


MOST_EVENTS = 1_000
_IN_ONE_TURN = 64
"""The default limit of events in one batch."""
_VALUES = bounded_json.MOST // 2  # the scanner that keeps the data's own text is slower than the JSON library


class Mode(StrEnum):
    BINARY = "binary"
    STRUCTURED = "structured"
    BATCH = "batch"


def mode(headers: Mapping[str, str]) -> Mode | None:
    """Return how these headers carry a CloudEvent; None if they carry none."""
    content_type = media_type(_get(headers, "content-type") or "")
    if content_type.startswith("application/cloudevents-batch"):
        return Mode.BATCH
    if content_type.startswith("application/cloudevents"):
        return Mode.STRUCTURED
    return Mode.BINARY if any(name.lower().startswith("ce-") for name in headers) else None


def read(headers: Mapping[str, str], body: bytes, *, most: int = MOST_EVENTS) -> list[Event]:
    """Return the events of one request or response: one, or those of a batch. Raises EventError."""
    return list(read_each(headers, body, most=most))


def read_each(headers: Mapping[str, str], body: bytes, *, most: int = MOST_EVENTS) -> Iterator[Event]:
    """Yield the events as `read` returns them, so that other work can run while a large batch is read."""
    match mode(headers):
        case Mode.BINARY:
            yield _read_binary(headers, body)
            return
        case Mode.STRUCTURED:
            _require_json(headers, STRUCTURED)
            yield _read_structured(_text(headers, body))
            return
        case Mode.BATCH:
            _require_json(headers, BATCH)
            yield from _read_batch(_text(headers, body), most=most)
            return
    raise NotAnEventError(
        f"not a CloudEvent: there are no ce-* headers (ce-specversion, ce-id, ce-source, ce-type) and the content type "
        f"is neither {STRUCTURED} nor {BATCH}",
        attribute="specversion",
    )


async def read_in_turns(headers: Mapping[str, str], body: bytes) -> AsyncIterator[Event]:
    """Yield the events as `read_each` does. Other coroutines run while a large batch is read. Raises EventError."""
    for number, event in enumerate(read_each(headers, body), start=1):
        yield event
        if number % _IN_ONE_TURN == 0:
            await asyncio.sleep(0)


def binary(event: Event) -> tuple[Headers, bytes]:
    headers = [(f"ce-{name}", encode(value)) for name, value in event.attributes().items() if name != "datacontenttype"]
    if event.datacontenttype is not None:
        headers.append(("content-type", event.datacontenttype))
    return headers, event.data


def encode(value: Value) -> str:
    """Return an attribute value as a header value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if _PLAIN.fullmatch(text) else quote(text, safe=_SAFE)


def decode(value: str) -> str:
    """Return a header value as an attribute value. Older senders quote strings, and receivers must accept that."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _QUOTED.sub(r"\1", value[1:-1])
    if "%" not in value:
        return value
    return unquote_to_bytes(value.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def holds_event(content_type: str) -> bool:
    """Return whether a body of this type is a CloudEvent with its own attributes, in any format and number."""
    return media_type(content_type).startswith("application/cloudevents")


def is_json(content_type: str | None) -> bool:
    kind = media_type(content_type or "")
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def _get(headers: Mapping[str, str], name: str) -> str | None:
    found = headers.get(name)
    return found if found is not None else next((value for key, value in headers.items() if key.lower() == name), None)


def _read_binary(headers: Mapping[str, str], body: bytes) -> Event:
    attributes: dict[str, Any] = {}
    # A multi-dict yields a repeated header twice, and a repeated attribute is invalid.
    for name, value in headers.items():
        key = name.lower()
        if key.startswith("ce-"):
            attribute = key[3:]
            if attribute in attributes:
                raise InvalidAttributeError(attribute[:64], "is given twice")
            attributes[attribute] = decode(value)
        elif key == "content-type":
            attributes["datacontenttype"] = value
    return from_attributes(attributes, data=body)


def _require_json(headers: Mapping[str, str], expected: str) -> None:
    found = media_type(_get(headers, "content-type") or "")
    if found != expected:
        raise MalformedEventError(
            f"the content type {found[:100]!r} is an unsupported CloudEvents format; send {expected}"
        )


def _text(headers: Mapping[str, str], body: bytes) -> str:
    try:
        text = charsets.json(body, _get(headers, "content-type") or "")
        bounded_json.require_few_values(text, most=_VALUES)
        return text.decode()
    except bounded_json.BoundError as error:
        raise TooManyError(f"the event is refused: {error}") from None
    except UnicodeDecodeError:
        raise MalformedEventError("the event is not UTF-8") from None
    except charsets.CharsetError as error:
        raise MalformedEventError(f"the event cannot be read: {error}") from None


def _read_structured(text: str) -> Event:
    attributes: dict[str, Any] = {}
    data: tuple[Any, str] | None = None
    encoded: Any = None
    try:
        for name, value, slice_ in json_slices.members(text):
            if name == "data":
                data = None if value is None else (value, slice_)
            elif name == "data_base64":
                encoded = value
            else:
                attributes[name] = value
    except (ValueError, RecursionError) as error:
        raise MalformedEventError(f"the event is not a JSON object: {error}") from None
    if data is not None and encoded is not None:
        raise MalformedEventError("the event has both data and data_base64")
    if encoded is not None:
        return from_attributes(attributes, data=_base64(encoded))
    if data is None:
        return from_attributes(attributes)
    value, raw = data
    content_type = attributes.get("datacontenttype")
    if not content_type:
        # JSON format 3.1.1: data without a content type is JSON; set explicitly for other carriers.
        attributes["datacontenttype"] = "application/json"
    elif isinstance(content_type, str):
        # The structured form is UTF-8, whatever charset the data had before.
        attributes["datacontenttype"] = charsets.as_utf8(content_type)
        if isinstance(value, str) and not is_json(content_type):
            return from_attributes(attributes, data=value.encode("utf-8", "surrogatepass"))
    return from_attributes(attributes, data=raw.encode("utf-8", "surrogatepass"))


def _base64(value: Any) -> bytes:
    try:
        return b64decode(value, validate=True)
    except (ValueError, TypeError):
        raise MalformedEventError("data_base64 is not base64") from None


def _read_batch(text: str, *, most: int) -> Iterator[Event]:
    parts = enumerate(json_slices.elements(text))
    while True:
        try:
            index, part = next(parts)
        except StopIteration:
            return
        except (ValueError, RecursionError) as error:
            raise MalformedEventError(f"the batch is not a JSON array: {error}") from None
        if index >= most:
            raise TooManyError(f"the batch contains more than {most} events; send several batches")
        try:
            yield _read_structured(part)
        except TooManyError:
            raise
        except EventError as error:
            raise MalformedEventError(f"event {index} of the batch: {error}", attribute=error.attribute) from error
