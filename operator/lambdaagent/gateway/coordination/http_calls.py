"""`call: http` of workflows: one request to an address that passes the check, with bounds of time and size.

Hazard: if the gateway ends between a response and its record, the request is sent again. It carries the same header
`Idempotency-Key` then, by which a server can recognise it.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import orjson

from lambdaagent import bounded_json, media_types
from lambdaagent.a2a import Json
from lambdaagent.coordination import workflow_expressions as expressions
from lambdaagent.coordination.workflow_errors import fault
from lambdaagent.trust import Trust, unreachable
from lambdaagent.webhooks import address_check
from lambdaagent.webhooks.address_check import CheckOf, ForbiddenAddressError

_SECONDS = 60.0
_LARGEST = 200 * 1024  # bytes of a response: it becomes the record of a step
_OWN = frozenset(("host", "content-length", "transfer-encoding", "connection", "idempotency-key", "te", "upgrade"))


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCalls:
    check: CheckOf
    trust: Trust

    async def call(self, given: Json, value: Any, *, key: str) -> Any:
        """Raises WorkflowError."""
        method, url = given["method"].upper(), _url(given, value)
        headers, body = _headers(given, key), given.get("body")
        if body is not None:
            headers.setdefault("Content-Type", media_types.JSON if not isinstance(body, str) else "text/plain")
            body = body.encode() if isinstance(body, str) else orjson.dumps(body)
        query = {name: _text(each) for name, each in given.get("query", {}).items() if each is not None}
        try:
            address_check.check_literal(url, self.check)
            check = self.check(urlsplit(url).hostname or "")
            async with (
                address_check.session(check, seconds=_SECONDS, trust=self.trust) as session,
                session.request(
                    method, url, params=query or None, data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                said = await _whole(answer)
        except ForbiddenAddressError as error:
            raise fault("authorization", f"{url}: {error}") from None
        except TimeoutError:
            raise fault("timeout", f"{url}: it did not answer within {_SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if (forbidden := address_check.refusal(error)) is not None:
                raise fault("authorization", f"{url}: {forbidden}") from None
            raise fault("communication", f"{url} cannot be reached: {unreachable(error)}", status=503) from None
        if not 200 <= answer.status < (400 if given.get("redirect", False) else 300):
            raise fault("communication", f"{url} answered {answer.status}", status=answer.status)
        content = _content(said, answer.headers.get("Content-Type", ""))
        if given.get("output", "content") == "content":
            return content
        return {
            "request": {"method": method, "uri": str(answer.url), "headers": headers},
            "statusCode": answer.status,
            "headers": {name.lower(): each for name, each in answer.headers.items()},
            "content": content,
        }


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in answer.content.iter_chunked(64 * 1024):
        parts.append(part)
        size += len(part)
        if size > _LARGEST:
            raise fault("communication", f"the response has more than {_LARGEST} bytes", title="Too much data")
    return b"".join(parts)


def _url(given: Json, value: Any) -> str:
    endpoint = given["endpoint"]
    template = endpoint if isinstance(endpoint, str) else endpoint["uri"]
    if not isinstance(template, str):
        raise fault("configuration", "the endpoint is no text")
    url = expressions.interpolated(template, value, quote=lambda text: quote(text, safe=""))
    if url is None:
        raise fault("expression", f"{template[:200]}: the input has no member for each name in braces")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.username is not None:
        raise fault("configuration", f"{url[:200]!r} is no URL of http or https, or has a user in it")
    return url


def _headers(given: Json, key: str) -> dict[str, str]:
    headers = {name: _text(each) for name, each in given.get("headers", {}).items() if each is not None}
    wrong = next((name for name in headers if name.lower() in _OWN or not name.replace("-", "").isalnum()), None)
    if wrong is not None:
        raise fault("configuration", f"the header {wrong[:64]!r} cannot be set")
    if any(ord(each) < 32 for text in headers.values() for each in text):
        raise fault("configuration", "a header contains a control character")
    return headers | {"Idempotency-Key": key}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _content(body: bytes, kind: str) -> Any:
    if not body:
        return None
    try:
        if "json" in kind:
            return bounded_json.loads(body)
        return body.decode()
    except ValueError:
        raise fault("communication", f"the response is said to be {kind[:64] or 'text'}, and is not") from None
