"""Signatures of cards, checked by the public SDK's own verifier and by the specification's canonical form."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import jwt
import orjson
import pytest
from a2a.client.card_resolver import parse_agent_card
from a2a.utils import signing as sdk
from a2a.utils._jcs import canonicalize
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from tests.parts.a2a_schemas import check_v03, check_v1
from tests.parts.cards import RICH, URL, agent
from tests.parts.keys import pem

from lambdaagent.a2a import cards, signing
from lambdaagent.a2a.cards import Shape
from lambdaagent.a2a.signing import KeyUnusableError, Signer

JWKS = "https://gw.example.com/.well-known/jwks.json"
KEYS = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
}
BARE = {"skills": [{"id": "one", "name": "One", "inputModes": []}]}


def signed(card: dict[str, Any], *, algorithm: str = "ES256") -> tuple[Signer, dict[str, Any]]:
    signer = Signer.from_pem(pem(KEYS[algorithm]))
    return signer, signer.signed(card, jwks_url=JWKS)


@pytest.mark.parametrize("algorithm", list(KEYS))
@pytest.mark.parametrize(
    "a2a",
    [
        pytest.param(RICH, id="rich"),
        pytest.param(BARE, id="empty lists"),
        pytest.param({"skills": []}, id="no skill"),
        pytest.param({"extensions": [{"uri": "urn:a"}]}, id="extension"),
    ],
)
@pytest.mark.parametrize("shape", [Shape.V1, Shape.HYBRID])
def test_the_public_sdk_verifies_it_and_not_a_changed_one(algorithm: str, a2a: dict[str, Any], shape: Shape) -> None:
    signer, card = signed(cards.card(agent(**a2a), shape=shape, url=URL), algorithm=algorithm)
    asked: list[tuple[str | None, str | None]] = []

    def key(kid: str | None, jku: str | None) -> jwt.PyJWK:
        asked.append((kid, jku))
        return jwt.PyJWK.from_dict(signer.public)

    verify = sdk.create_signature_verifier(key, [algorithm])
    verify(parse_agent_card(orjson.loads(orjson.dumps(card))))
    assert (signer.kid, JWKS) in asked
    with pytest.raises(sdk.InvalidSignaturesError):
        verify(parse_agent_card(orjson.loads(orjson.dumps({**card, "description": "Another"}))))


@pytest.mark.parametrize("shape", list(Shape))
def test_each_form_that_a_reader_may_make_has_its_signature(shape: Shape) -> None:
    signer, card = signed(cards.card(agent(**BARE), shape=shape, url=URL))
    # As the specification has it: required and empty stays, optional and empty goes, signatures are not signed.
    expected = {key: value for key, value in card.items() if key != "signatures"}
    expected["skills"] = [{**card["skills"][0], "tags": []}]
    del expected["skills"][0]["inputModes"]
    payload = urlsafe_b64encode(canonicalize(expected).encode()).decode().rstrip("=")
    good = 0
    for signature in card["signatures"]:
        header = orjson.loads(urlsafe_b64decode(signature["protected"] + "=="))
        assert header == {"alg": "ES256", "kid": signer.kid, "jku": JWKS, "typ": "JOSE"}
        try:
            token = f"{signature['protected']}.{payload}.{signature['signature']}"
            jwt.api_jws.decode(token, jwt.PyJWK.from_dict(signer.public), algorithms=["ES256"])
            good += 1
        except jwt.InvalidSignatureError:
            pass
    assert good == 1


def test_signed_cards_are_still_what_the_schemas_say() -> None:
    check_v1("AgentCard", signed(cards.card(agent(), shape=Shape.V1, url=URL))[1])
    check_v03("AgentCard", signed(cards.card(agent(), shape=Shape.V03, url=URL))[1])


def test_a_card_whose_forms_are_one_has_one_signature() -> None:
    skills = [{"id": "one", "name": "One", "tags": ["x"]}]
    assert len(signing.forms(cards.card(agent(skills=skills), shape=Shape.V1, url=URL))) == 1


@pytest.mark.parametrize("algorithm", list(KEYS))
def test_the_key_s_name_is_its_thumbprint(algorithm: str) -> None:
    public = Signer.from_pem(pem(KEYS[algorithm])).public
    required = {key: value for key, value in public.items() if key not in ("kid", "alg", "use")}
    digest = hashlib.sha256(canonicalize(required).encode()).digest()
    assert public["kid"] == urlsafe_b64encode(digest).decode().rstrip("=")
    assert "d" not in public


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("secret", id="no PEM"),
        pytest.param(pem(ec.generate_private_key(ec.SECP384R1())), id="another curve"),
        pytest.param(pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)), id="a short RSA key"),
        pytest.param(pem(dsa.generate_private_key(2048)), id="DSA"),
    ],
)
def test_a_key_that_cannot_sign_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(KeyUnusableError) as raised:
        Signer.from_pem(text)
    assert text not in str(raised.value)
