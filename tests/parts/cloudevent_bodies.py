"""Writes CloudEvents in the structured and the batch mode of HTTP, as other senders do; we send the binary mode."""

from base64 import b64encode
from collections.abc import Iterable

import orjson

from lambdaagent.events import charsets
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.http import BATCH, STRUCTURED, Headers, is_json, media_type


def structured(event: Event) -> tuple[Headers, bytes]:
    return [("content-type", STRUCTURED)], _json(event)


def batch(events: Iterable[Event]) -> tuple[Headers, bytes]:
    return [("content-type", BATCH)], b"[" + b",".join(_json(event) for event in events) + b"]"


def _json(event: Event) -> bytes:
    head = orjson.dumps(event.attributes())
    if not event.data:
        return head
    kind = event.datacontenttype or ""
    if charsets.as_utf8(kind) != kind:
        pass  # Data in another charset cannot be JSON text, which is UTF-8.
    elif is_json(kind):
        try:
            orjson.loads(event.data)
        except orjson.JSONDecodeError:
            pass
        else:
            return head[:-1] + b',"data":' + event.data + b"}"
    elif media_type(kind).startswith("text/"):
        try:
            return head[:-1] + b',"data":' + orjson.dumps(event.data.decode()) + b"}"
        except UnicodeDecodeError:
            pass
    return head[:-1] + b',"data_base64":"' + b64encode(event.data) + b'"}'
