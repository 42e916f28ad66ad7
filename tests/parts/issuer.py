"""An issuer of tokens over real HTTP: discovery, keys that rotate, and the ways in which issuers fail."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from time import time
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from tests.parts.http_servers import serving

AUDIENCE = "lambdaagent"


@cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    """Returns one of some keys, each made once: making one takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ec_key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Issuer:
    url: str = ""
    kid: str = "one"
    key: Any = field(default_factory=lambda: ec_key())
    published: list[dict[str, Any]] = field(default_factory=list)
    fetched: int = 0  # requests for the keys
    discovered: int = 0  # requests for the discovery document
    late: float = 0.0  # seconds
    status: int = 200
    document: dict[str, Any] = field(default_factory=dict)  # replaces fields of the discovery document
    body: bytes | None = None  # replaces the key set
    headers: dict[str, str] = field(default_factory=dict)  # of the response with the keys
    opened: asyncio.Event | None = None  # the keys are sent when it is set
    now: Callable[[], float] = time

    def __post_init__(self) -> None:
        self.published = [jwk(self.key, self.kid)]

    def rotate(self, kid: str, key: Any, *, keep: bool = False) -> None:
        self.kid, self.key = kid, key
        self.published = [*(self.published if keep else []), jwk(key, kid)]

    def claims(self, subject: str = "alice", **more: Any) -> dict[str, Any]:
        now = int(self.now())
        found = {"iss": self.url, "sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + 300, **more}
        return {name: value for name, value in found.items() if value is not None}

    def token(self, subject: str = "alice", *, header: dict[str, Any] | None = None, **more: Any) -> str:
        """Returns a token; a claim that is None is left out."""
        algorithm = "ES256" if isinstance(self.key, ec.EllipticCurvePrivateKey) else "RS256"
        headers = {"kid": self.kid, **(header or {})}
        return jwt.encode(self.claims(subject, **more), self.key, algorithm=algorithm, headers=headers)

    def configured(self, name: str = "corp", **more: Any) -> dict[str, Any]:
        """Returns the issuer as the access file holds it."""
        return {"name": name, "issuer": self.url, "audiences": [AUDIENCE], **more}


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    made = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    return {**made.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", **more}


@asynccontextmanager
async def issuing(*, tls: ssl.SSLContext | None = None, **fields: Any) -> AsyncIterator[Issuer]:
    issuer = Issuer(**fields)

    async def discovery(_: web.Request) -> web.Response:
        issuer.discovered += 1
        return web.json_response({"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys", **issuer.document})

    async def keys(_: web.Request) -> web.Response:
        issuer.fetched += 1
        await asyncio.sleep(issuer.late)
        if issuer.opened is not None:
            await issuer.opened.wait()
        if issuer.body is not None:
            return web.Response(body=issuer.body, status=issuer.status, headers=issuer.headers)
        return web.json_response({"keys": issuer.published}, status=issuer.status, headers=issuer.headers)

    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", discovery)
    app.router.add_get("/keys", keys)
    async with serving(app, tls=tls) as issuer.url:
        yield issuer
