"""Reads a value of a Secret, if this process has the right to: by default no process has.

The API server is asked for the right before it is asked for the Secret, so that an installation without the right has
no refused requests in its audit log.
"""

import base64
import binascii

from lambdaagent.errors import LambdaAgentError, TemporaryError
from lambdaagent.kube import objects
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.resources import OWN_ACCESS_REVIEW, SECRET

_LONGEST = 8192  # characters: of a header's value


class SecretValueError(TemporaryError):
    """There is no value to use; the message names the Secret, the cause and the remedy, and nothing of the value."""


class SecretNotReadableError(SecretValueError):
    """This process may not read the Secret."""


class Secrets:
    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def value(self, *, namespace: str, name: str, key: str) -> str:
        """Return the value without the line break at its end. Raises SecretValueError."""
        title = f"Secret {namespace}/{name}"
        try:
            if not await self._may_read(namespace, name):
                raise SecretNotReadableError(
                    f"the operator may not read {title}, so it does not ask the server; to let it, bind a Role with "
                    f"the verb get on secrets, resourceNames [{name}], to the operator's ServiceAccount"
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
            target="the operator's rights",
            body={
                "apiVersion": OWN_ACCESS_REVIEW.api_version,
                "kind": OWN_ACCESS_REVIEW.kind,
                "spec": {"resourceAttributes": asked},
            },
        )
        return (answer.get("status") or {}).get("allowed") is True
