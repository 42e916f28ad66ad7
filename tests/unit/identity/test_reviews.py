"""Answers of an API server that a correct one never gives, and how long its answers are used."""

from typing import Any

import pytest
from tests.parts.clocks import SetClock

from lambdaagent.access.principal import Principal
from lambdaagent.identity.cluster import REMEMBERED, AccessReviews, TokenReviews
from lambdaagent.identity.errors import CredentialError

ACCOUNT = "system:serviceaccount:shop:a"
GOOD = {"authenticated": True, "audiences": ["lambdaagent"], "user": {"username": ACCOUNT, "groups": ["g"]}}


class Api:
    def __init__(self, status: dict[str, Any]) -> None:
        self.status = status

    async def request(self, *_: Any, **__: Any) -> Any:
        return {"status": self.status}


async def test_a_token_of_a_service_account_for_the_audience() -> None:
    found = await TokenReviews(Api(GOOD), ["lambdaagent"]).principal("x")  # type: ignore[arg-type]
    assert (found.name, found.groups) == (ACCOUNT, {"g"})


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"authenticated": False}, "not-authenticated"),
        ({"authenticated": None}, "not-authenticated"),
        ({"audiences": ["https://kubernetes.default.svc"]}, "wrong-audience"),
        ({"audiences": []}, "wrong-audience"),  # of a server that knows no audiences
        ({"user": {"username": "kubernetes-admin", "groups": ["system:masters"]}}, "wrong-kind"),
        ({"user": {}}, "wrong-kind"),
    ],
)
async def test_any_other_answer_admits_nobody(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(CredentialError) as raised:
        await TokenReviews(Api(GOOD | changed), ["lambdaagent"]).principal("x")  # type: ignore[arg-type]
    assert raised.value.reason == reason


async def test_a_right_is_asked_for_again_after_a_while() -> None:
    clock, api = SetClock(), Api({"allowed": True})
    reviews = AccessReviews(api, clock.clock)  # type: ignore[arg-type]
    asked = {"verb": "create", "subresource": "invoke", "namespace": "shop", "name": "echo"}
    alice = Principal("corp:alice", source="corp")
    assert await reviews.allows(alice, **asked)
    api.status = {"allowed": False}
    clock.forward(REMEMBERED - 1)
    assert await reviews.allows(alice, **asked)
    clock.forward(2)
    assert not await reviews.allows(alice, **asked)
