"""The artifacts of a task as the response to a direct call: one as it is, several as multipart/mixed (RFC 2046)."""

from collections.abc import Iterator
from dataclasses import dataclass

import orjson
from aiohttp import MultipartWriter, web

from lambdaagent import media_types
from lambdaagent.a2a import Json
from lambdaagent.a2a.params import raw_bytes
from lambdaagent.a2a.states import Role, parse_role
from lambdaagent.containers import filenames
from lambdaagent.mcp import content

MULTIPART = "multipart/mixed"
COUNT = "LambdaAgent-Artifacts"
_PLAIN = "text/plain; charset=utf-8"
_RANGES = (MULTIPART, "multipart/*", "*/*")


@dataclass(frozen=True, slots=True)
class _Item:
    kind: str
    body: bytes
    filename: str = ""
    location: str = ""  # a URL to redirect to instead of sending the body

    @property
    def headers(self) -> dict[str, str]:
        named = {"Content-Disposition": filenames.header(self.filename)} if self.filename else {}
        return {"Content-Type": self.kind, **named}


def response(task: Json, *, accept: str) -> web.Response:
    """A client that does not accept multipart gets the first artifact, and a header with the number of artifacts."""
    found = list(_items(task))
    if not found:
        return web.Response(text="")
    if len(found) == 1:
        return _single(found[0])
    if not _takes_multipart(accept):
        first = _single(found[0])
        first.headers[COUNT] = f"1 of {len(found)}; Accept: {MULTIPART} gives all of them"
        return first
    writer = MultipartWriter("mixed")
    for item in found:
        writer.append(item.body, item.headers)
    return web.Response(body=writer, headers={COUNT: str(len(found))})


def _single(item: _Item) -> web.Response:
    if item.location:
        return web.Response(status=303, headers={"Location": item.location})
    return web.Response(body=item.body, headers=item.headers)


def _items(task: Json) -> Iterator[_Item]:
    """Yield the results of a task. Adjacent texts of one artifact are pieces of a stream, so they become one text.

    Beside a tool's structured result, plain texts are left out: they repeat it (MCP, "Structured Content").
    """
    artifacts = task.get("artifacts") or [task["status"].get("message") or _last_word(task)]
    for artifact in artifacts:
        texts: list[str] = []
        repeated = any(map(content.is_structured, artifact.get("parts", [])))
        for part in artifact.get("parts", []):
            if "text" in part and not part.get("filename") and part.get("mediaType", "text/plain") == "text/plain":
                texts += [part["text"]] if not repeated else []
                continue
            if texts:
                yield _Item(_PLAIN, "".join(texts).encode())
                texts = []
            yield _item(part)
        if texts:
            yield _Item(_PLAIN, "".join(texts).encode())


def _last_word(task: Json) -> Json:
    """Return the last message of an agent that sends its answer before a final status without a message."""
    last = task.get("history", [{}])[-1]
    return last if parse_role(last.get("role")) is Role.AGENT else {}


def _item(part: Json) -> _Item:
    kind, filename = part.get("mediaType") or "", part.get("filename") or ""
    kind = kind if _stands_in_a_header(kind) else ""
    if "data" in part:
        return _Item(kind or media_types.JSON, orjson.dumps(part["data"]), filename)
    if "raw" in part:
        return _Item(kind or "application/octet-stream", raw_bytes(part["raw"]), filename)
    if "url" in part:
        url = part["url"]
        if url.startswith(("http://", "https://")) and _stands_in_a_header(url):
            return _Item("text/uri-list", f"{url}\r\n".encode(), filename, location=url)
        return _Item(_PLAIN, url.encode(), filename)
    media = kind if kind and "charset" not in kind else "text/plain"
    return _Item(f"{media}; charset=utf-8", part.get("text", "").encode(), filename)


def _takes_multipart(accept: str) -> bool:
    """Return whether an Accept header allows multipart/mixed (RFC 9110 section 12.5.1).

    An absent header accepts everything; a quality of zero refuses. The most specific range decides.
    """
    if not accept.strip():
        return True
    said: dict[str, bool] = {}
    for each in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in each.split(";"))
        said[kind] = not any(parameter.replace(" ", "") in _REFUSED for parameter in parameters)
    return next((said[kind] for kind in _RANGES if kind in said), False)


_REFUSED = frozenset(("q=0", "q=0.0", "q=0.00", "q=0.000"))


def _stands_in_a_header(value: str) -> bool:
    """Return whether a value from a container is safe in a header: a line break would start another header."""
    return bool(value) and value.isascii() and value.isprintable()
