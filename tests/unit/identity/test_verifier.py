"""Which source a credential is asked of, and what of the answers is remembered."""

from dataclasses import replace
from typing import Any

import pytest
from tests.parts.clocks import SetClock
from tests.parts.issuer import AUDIENCE, ec_key, jwk
from tests.parts.tokens import KeySet, compact, issuer, verifier

from lambdaagent.access.principal import Principal
from lambdaagent.identity import api_keys
from lambdaagent.identity import verifier as verifiers
from lambdaagent.identity.errors import CredentialError, IdentityUnavailableError
from lambdaagent.identity.verifier import Verifier

NOW = 1_790_000_000
URL, CLUSTER = "https://id.example.com", "https://kubernetes.default.svc"
KEY = ec_key(71)
ACCOUNT = Principal("system:serviceaccount:shop:checkout", source="kubernetes")


class Reviews:
    """Stands for the API server: keeps the tokens that it is asked about, and raises `error` if there is one."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: Exception | None = None

    async def principal(self, token: str) -> Principal:
        self.asked.append(token)
        if self.error is not None:
            raise self.error
        return ACCOUNT


@pytest.fixture
def time() -> SetClock:
    return SetClock(NOW)


@pytest.fixture
def reviews() -> Reviews:
    return Reviews()


@pytest.fixture
def by(time: SetClock, reviews: Reviews) -> Verifier:
    found = verifier(time.clock, (issuer("corp", URL), KeySet([jwk(KEY, "one")])))
    return Verifier(replace(found.sources, reviews=reviews), time.clock)  # type: ignore[arg-type]


def token(number: int = 0, key: Any = KEY, **claims: Any) -> str:
    found = {"iss": CLUSTER, "sub": ACCOUNT.name, "aud": AUDIENCE, "iat": NOW, "exp": NOW + 3600, "jti": str(number)}
    return compact({"alg": "ES256", "kid": "one"}, found | claims, key)


async def refused(by: Verifier, credential: str) -> CredentialError:
    with pytest.raises(CredentialError) as caught:
        await by.principal(credential)
    return caught.value


async def test_only_tokens_of_service_accounts_are_shown_to_the_cluster(by: Verifier, reviews: Reviews) -> None:
    for credential in (
        "",
        "x",
        "x.y.z",
        api_keys.create("ci"),
        token(sub="alice"),
        token(sub="system:node:a"),
        token(sub=["system:serviceaccount:shop:a"]),
        token(iss="lambdaagent"),
        token(iss=URL, aud="other"),
        token() + "=",
        "a" * 1_000_000,
    ):
        await refused(by, credential)
    assert reviews.asked == []
    given = token()
    assert await by.principal(given) == ACCOUNT
    assert reviews.asked == [given]


async def test_an_issuers_token_is_the_issuers_whatever_its_subject(by: Verifier, reviews: Reviews) -> None:
    found = await by.principal(token(iss=URL))
    assert (found.name, found.source) == (f"corp:{ACCOUNT.name}", "corp")
    assert (await refused(by, token(iss=URL, key=ec_key(72)))).reason == "bad-signature"
    assert reviews.asked == []


async def test_the_clusters_answer_is_remembered_for_a_minute(by: Verifier, reviews: Reviews, time: SetClock) -> None:
    given = token()
    for _ in range(5):
        assert await by.principal(given) == ACCOUNT
    time.forward(59)
    await by.principal(given)
    assert len(reviews.asked) == 1
    time.forward(1)
    await by.principal(given)
    assert len(reviews.asked) == 2
    await by.principal(token(1))
    assert len(reviews.asked) == 3


async def test_the_clusters_refusal_is_remembered_for_ten_seconds(
    by: Verifier, reviews: Reviews, time: SetClock
) -> None:
    given = token()
    reviews.error = CredentialError("not-authenticated", "The cluster does not accept the ServiceAccount's token.")
    for _ in range(50):
        assert (await refused(by, given)).reason == "not-authenticated"
    assert len(reviews.asked) == 1
    reviews.error = None
    time.forward(9)
    await refused(by, given)
    time.forward(1)
    assert await by.principal(given) == ACCOUNT


async def test_a_refusal_that_is_repeated_takes_no_more_memory(by: Verifier, reviews: Reviews) -> None:
    """An exception that is raised again keeps the frames of each time, and with them the requests."""
    given = token()
    reviews.error = CredentialError("not-authenticated", "no")
    depths = []
    for _ in range(20):
        frame, depth = (await refused(by, given)).__traceback__, 0
        while frame is not None:
            frame, depth = frame.tb_next, depth + 1
        depths.append(depth)
    assert max(depths[1:]) == min(depths[1:])


async def test_a_cluster_that_is_away_is_asked_again(by: Verifier, reviews: Reviews) -> None:
    given = token()
    reviews.error = IdentityUnavailableError("the cluster cannot be asked")
    for _ in range(2):
        with pytest.raises(IdentityUnavailableError):
            await by.principal(given)
    reviews.error = None
    assert await by.principal(given) == ACCOUNT
    assert len(reviews.asked) == 3


async def test_without_a_cluster_no_service_account_is_known(time: SetClock) -> None:
    assert (await refused(verifier(time.clock), token())).reason == "wrong-issuer"


async def test_what_is_remembered_is_bounded(by: Verifier, reviews: Reviews, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifiers, "_MOST", 10)
    for number in range(100):
        await by.principal(token(number))
        assert len(by._known) <= 10
    reviews.error = CredentialError("not-authenticated", "no")
    for number in range(100, 200):
        await refused(by, token(number))
        assert len(by._refused) <= 10


async def test_a_credential_that_fails_is_kept_nowhere(by: Verifier) -> None:
    for credential in ("x", api_keys.create("ci"), token(iss=URL, key=ec_key(72)), token(sub="alice")):
        await refused(by, credential)
    assert by._known == {} and by._refused == {}


async def test_what_is_kept_of_a_credential_is_its_hash(by: Verifier) -> None:
    given = token(iss=URL)
    await by.principal(given)
    (kept,) = by._known
    assert len(kept) == 32
    assert given not in repr(by._known)
