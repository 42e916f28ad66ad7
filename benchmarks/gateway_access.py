"""What access control costs: one gateway with it off, one with a cached token, a grant, limits and the audit log on.

Beside it, requests with tokens that are refused: each is verified, and none reaches the agent.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from benchmarks import gateway_parts as parts

ISSUER = "https://bench.example"


@contextmanager
def measured(path: str, body: str, *, seconds: int, connections: int) -> Iterator[dict[str, Callable[[], parts.Load]]]:
    """Yields the loads by name."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        good, bad = _write(folder)
        agent = stack.enter_context(parts.upstream())
        off = stack.enter_context(parts.python("benchmarks.gateway_server", agent, "memory", "1"))
        on = stack.enter_context(
            parts.python("benchmarks.gateway_server", agent, "memory", "1", str(folder / "access.json"))
        )

        def load(server: parts.Server, token: str) -> Callable[[], parts.Load]:
            headers = dict(parts.JSON) | ({"authorization": f"Bearer {token}"} if token else {})
            return lambda: parts.wrk(server, path, body=body, connections=connections, seconds=seconds, headers=headers)

        yield {"off": load(off, ""), "enforce": load(on, good), "enforce, refused": load(on, bad)}


def _write(folder: Path) -> tuple[str, str]:
    """Writes the access file and the issuer's keys; returns a token that is accepted, and one that is refused."""
    key, now = ec.generate_private_key(ec.SECP256R1()), int(time.time())
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "one", "use": "sig", "alg": "ES256"}
    (folder / "keys.json").write_text(json.dumps({"keys": [public]}))
    rate = {"requestsPerMinute": 10_000_000}
    file = {
        "issuers": [
            {"name": "corp", "issuer": ISSUER, "audiences": ["lambdaagent"], "jwks": str(folder / "keys.json")}
        ],
        "kubernetes": {"enabled": False},
        "limits": {"perPeer": rate, "perPrincipal": rate, "perAgent": rate},
        "audit": {"sink": "file", "file": str(folder / "audit.log")},
    }
    (folder / "access.json").write_text(json.dumps(file))
    claims = {"iss": ISSUER, "sub": "alice", "aud": "lambdaagent", "iat": now, "exp": now + 3600}
    good = jwt.encode(claims, key, algorithm="ES256", headers={"kid": "one"})
    stranger = ec.generate_private_key(ec.SECP256R1())
    return good, jwt.encode(claims, stranger, algorithm="ES256", headers={"kid": "one"})
