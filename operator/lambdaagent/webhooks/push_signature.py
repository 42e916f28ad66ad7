"""Signs push notifications: a JWT with the sender, the receiver, the task and the body's hash (decision 0013)."""

import hashlib
from dataclasses import dataclass

from lambdaagent.a2a import well_known
from lambdaagent.a2a.push import PushConfig
from lambdaagent.a2a.signing import Signer
from lambdaagent.clock import Clock

LIFETIME = 300  # seconds; the clocks of two organisations may differ


@dataclass(frozen=True, slots=True)
class PushSigner:
    signer: Signer
    issuer: str  # the gateway's public URL, below which its keys are served
    clock: Clock

    def token(self, config: PushConfig, body: bytes) -> str:
        """Return a new token per attempt: a receiver may refuse an id that it has seen, and a retry must arrive."""
        now = int(self.clock.now())
        claims = {
            "iss": self.issuer,
            "aud": config.url,
            "iat": now,
            "exp": now + LIFETIME,
            "jti": self.clock.new_id(),
            "taskId": config.task_id,
            "request_body_sha256": hashlib.sha256(body).hexdigest(),
        }
        return self.signer.token(claims, jwks_url=self.issuer + well_known.JWKS)
