"""The signers of cards and push notifications, from settings; the gateway and `dev` use them alike."""

from lambdaagent.a2a.signing import KeyUnusableError, Signer
from lambdaagent.clock import Clock
from lambdaagent.errors import UsageError
from lambdaagent.settings import GatewaySettings
from lambdaagent.webhooks.push_signature import PushSigner


def card_signer(settings: GatewaySettings) -> Signer | None:
    pem = settings.card_signing_key.get_secret_value()
    try:
        return Signer.from_pem(pem) if pem else None
    except KeyUnusableError as error:
        raise UsageError(f"LAMBDAAGENT_CARD_SIGNING_KEY: {error}") from None


def push_signer(settings: GatewaySettings, signer: Signer | None, clock: Clock) -> PushSigner | None:
    if not settings.sign_pushes:
        return None
    if signer is None or not settings.public_url:
        raise UsageError(
            "LAMBDAAGENT_SIGN_PUSHES needs LAMBDAAGENT_CARD_SIGNING_KEY, whose key signs, and LAMBDAAGENT_PUBLIC_URL, "
            "where receivers get the public key"
        )
    return PushSigner(signer, settings.public_url.rstrip("/"), clock)
