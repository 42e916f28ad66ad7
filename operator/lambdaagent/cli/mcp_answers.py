"""What a gateway answers over HTTP, as messages of the Model Context Protocol or as words for a person."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp

from lambdaagent import bounded_json, media_types
from lambdaagent.a2a import Json
from lambdaagent.httpclient.sse_decoder import SseDecoder

_BYTES = 64 * 1024 * 1024  # of one message; a gateway's own limits are lower
_REMEDIES = {
    401: "set LAMBDAAGENT_TOKEN or --token-file",
    403: "ask for access, or use another credential",
    404: "check --url, --namespace and --agent",
    413: "send less",
    429: "wait a moment",
    503: "try again",
}


async def messages(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """Yield the messages of a response; none for a body that is not of the protocol. Raises ValueError."""
    if response.content_type == media_types.EVENT_STREAM and response.status == 200:
        decoder = SseDecoder(limit=_BYTES)
        async for chunk in response.content.iter_any():
            for text in decoder.feed(chunk):
                if text.strip():
                    yield _message(text.encode())
    elif response.content_type == media_types.JSON:
        found = _message(await _whole(response))
        if "result" in found or "error" in found:
            yield found


def code_of(message: Json) -> object:
    error = message.get("error")
    return error.get("code") if isinstance(error, dict) else None


def _message(body: bytes) -> dict[str, Any]:
    found = bounded_json.loads(body)
    if not isinstance(found, dict) or found.get("jsonrpc") != "2.0":
        raise ValueError("the answer is no message of JSON-RPC")
    return found


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _BYTES:
            raise ValueError(f"the answer has more than {_BYTES} bytes")
    return bytes(body)


async def why(response: aiohttp.ClientResponse) -> str:
    """Return why there was no response of the protocol, and the remedy."""
    status = response.status
    if status == 200:
        return "The gateway's answer ended without a response; send the request again."
    if 300 <= status < 400:
        return f"The URL redirects (status {status}), and redirects are not followed; give its target as --url."
    detail = ""
    if response.content_type == "application/problem+json":
        with suppress(ValueError):
            found = bounded_json.loads(await _whole(response))
            detail = str(found.get("detail", ""))[:300] if isinstance(found, dict) else ""
    remedy = _REMEDIES.get(status, "check --url")
    return f"The gateway answered with status {status}: {detail or 'it gives no reason.'} To do: {remedy}."
