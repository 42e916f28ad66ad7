"""Whether an agent exists is not told by what the gateway does before it answers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts.access import guarded, of
from tests.parts.gateway import World
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent

CARD = "/.well-known/agent-card.json"


class Api:
    """An API server that allows nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def request(self, *_: Any, body: Any, **__: Any) -> Any:
        asked = body["spec"]["resourceAttributes"]
        self.asked.append((asked["namespace"], asked["name"]))
        return {"status": {"allowed": False}}


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer, container: PlainAgent, api: Api) -> AsyncIterator[World]:
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file, api=api) as world:  # type: ignore[arg-type]
        world.agent(url=container.url)
        yield world


@pytest.mark.parametrize("name", ["echo", "none"])
async def test_rbac_is_asked_about_a_host_with_and_without_an_agent(
    gateway: World, issuer: Issuer, api: Api, name: str
) -> None:
    headers = of(issuer) | {"Host": f"{name}-a2a.shop"}
    assert (await gateway.request("GET", CARD, headers=headers)).status == 404
    assert api.asked == [("shop", name)]


async def test_before_the_agents_are_listed(gateway: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.directory, "_listed", lambda _namespace: False)
    for headers, status in (({}, 401), (of(issuer), 503)):
        there, absent = [
            await gateway.request("GET", f"/agents/shop/{name}{CARD}", headers=headers) for name in ("echo", "none")
        ]
        assert (there.status, absent.status) == (status, status)
