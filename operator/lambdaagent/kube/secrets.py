"""Reads values of Secrets for headers, if this process has the right to: by default no process has.

The API server is asked for the right before it is asked for the Secret, so that an installation without the right has
no refused requests in its audit log. Hazard: values are credentials, and are in no error and no log.
"""

import asyncio
import base64
import binascii
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lambdaagent.errors import LambdaAgentError, TemporaryError
from lambdaagent.kube import objects
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.resources import OWN_ACCESS_REVIEW, SECRET

_LONGEST = 8192  # characters: of a header's value
_MOST_KNOWN = 1024  # values
_SECONDS = 10.0  # for one value


class SecretValueError(TemporaryError):
    """There is no value to use; the message names the Secret, the cause and the remedy, and nothing of the value."""


class SecretNotReadableError(SecretValueError):
    """This process may not read the Secret."""


Key = tuple[str, str, str]  # namespace, Secret, key


class Secrets:
    def __init__(self, client: KubeClient, *, reader: str = "operator") -> None:
        """`reader` is this process, as errors name it."""
        self._client = client
        self._reader = reader

    async def headers(self, namespace: str, wanted: Sequence[tuple[str, str, str]]) -> list[tuple[str, str]]:
        """Return the headers; of each, `wanted` has its name, and the name and key of its Secret.

        Raises SecretValueError.
        """
        return [(header, await self.value(namespace=namespace, name=name, key=key)) for header, name, key in wanted]

    async def value(self, *, namespace: str, name: str, key: str) -> str:
        """Return the value without the line break at its end. Raises SecretValueError."""
        title = f"Secret {namespace}/{name}"
        try:
            if not await self._may_read(namespace, name):
                raise SecretNotReadableError(
                    f"the {self._reader} may not read {title}, so it does not ask the server; to let it, bind a Role "
                    f"with the verb get on secrets, resourceNames [{name}], in the namespace {namespace} to the "
                    f"{self._reader}'s ServiceAccount (chart: externalAgents.secrets)"
                )
            found = await objects.find(self._client, SECRET, name=name, namespace=namespace)
        except SecretValueError:
            raise
        except LambdaAgentError as error:
            raise SecretValueError(f"{title} cannot be read: {error}") from None
        if found is None:
            raise SecretValueError(f"there is no {title}; create it or correct headersFrom")
        encoded = (found.get("data") or {}).get(key)
        if encoded is None:
            raise SecretValueError(f"{title} has no key {key}; add it or correct headersFrom")
        try:
            value = base64.b64decode(encoded, validate=True).decode("ascii").rstrip("\r\n")
        except (binascii.Error, UnicodeDecodeError):
            value = "\n"
        if not value.isprintable() or len(value) > _LONGEST:
            raise SecretValueError(
                f"key {key} of {title} cannot be a header: it is no line of at most {_LONGEST} ASCII characters"
            )
        return value

    async def _may_read(self, namespace: str, name: str) -> bool:
        asked = {
            "namespace": namespace,
            "verb": "get",
            "version": SECRET.version,
            "resource": SECRET.plural,
            "name": name,
        }
        answer = await self._client.request(
            "POST",
            OWN_ACCESS_REVIEW.path(),
            action="check",
            target=f"the {self._reader}'s rights",
            body={
                "apiVersion": OWN_ACCESS_REVIEW.api_version,
                "kind": OWN_ACCESS_REVIEW.kind,
                "spec": {"resourceAttributes": asked},
            },
        )
        return (answer.get("status") or {}).get("allowed") is True


class ReadsSecrets(Protocol):
    async def value(self, *, namespace: str, name: str, key: str) -> str:
        """Raises SecretValueError."""
        ...


@dataclass
class CachedSecrets:
    """Values that are kept for a short time, so that calls do not each ask the API server.

    A rotated value is used after at most `seconds`. Calls that come together ask once. Failures are kept for a shorter
    time, so that a Secret that is mended works soon.
    """

    secrets: ReadsSecrets
    seconds: float = 30.0
    failed_seconds: float = 5.0
    now: Callable[[], float] = time.monotonic
    _known: "OrderedDict[Key, tuple[float, str | SecretValueError]]" = field(default_factory=OrderedDict, init=False)
    _asking: dict[Key, "asyncio.Lock"] = field(default_factory=dict, init=False)

    async def headers(self, namespace: str, wanted: Sequence[tuple[str, str, str]]) -> list[tuple[str, str]]:
        """As `Secrets.headers`."""
        return [(header, await self._value((namespace, name, key))) for header, name, key in wanted]

    async def _value(self, key: Key) -> str:
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                until, found = self._known.get(key, (0.0, ""))
                if until <= self.now():
                    found = await self._ask(key)
                    kept = self.failed_seconds if isinstance(found, SecretValueError) else self.seconds
                    self._known[key] = (self.now() + kept, found)
                    self._known.move_to_end(key)
                    while len(self._known) > _MOST_KNOWN:
                        self._known.popitem(last=False)
        finally:
            if not lock.locked():
                self._asking.pop(key, None)
        if isinstance(found, SecretValueError):
            raise type(found)(str(found))
        return found

    async def _ask(self, key: Key) -> str | SecretValueError:
        namespace, name, entry = key
        try:
            async with asyncio.timeout(_SECONDS):
                return await self.secrets.value(namespace=namespace, name=name, key=entry)
        except SecretValueError as error:
            return error
        except TimeoutError:
            return SecretValueError(f"Secret {namespace}/{name} cannot be read: the API server did not answer in time")
