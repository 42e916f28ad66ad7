"""An external agent is called by those whom its grants name, and its server learns of no credential of theirs."""

import json
from pathlib import Path

from tests.parts.access import guarded, of
from tests.parts.external import known_agent
from tests.parts.gateway import message
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent, Seen

PATH = "/agents/shop/partner/api/a2a"
GRANTED = {"grants": [{"principals": ["corp:alice"]}]}


async def test_grants_tasks_and_credentials(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> None:
    def respond(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        interface = {"url": f"{container.url}/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        card = {"name": "p", "description": "d", "version": "1", "supportedInterfaces": [interface]}
        status = {"state": "TASK_STATE_COMPLETED"}
        result = {"task": {"id": "theirs", "contextId": "c", "status": status, "artifacts": []}}
        body = card if seen.method == "GET" else {"jsonrpc": "2.0", "id": 1, "result": result}
        return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()

    container.respond = respond
    alice, eve = of(issuer), of(issuer, "eve")
    async with guarded(tmp_path / "access.yaml", {"issuers": [issuer.configured()]}) as world:
        world.add(await known_agent(container.url, access=GRANTED), url=None)
        container.seen.clear()
        refused = await world.request("POST", PATH, json={}, headers=eve)
        anonymous = await world.request("POST", PATH, json={})
        assert (refused.status, anonymous.status, container.seen) == (404, 401, [])
        answer = await world.rpc("SendMessage", {"message": message()}, path=PATH, **alice)
        task = answer["result"]["task"]
        assert task["status"]["state"] == "TASK_STATE_COMPLETED"
        stored = await world.store.get(task["id"])
        assert stored is not None
        assert stored.owner == "corp:alice"
        (call,) = container.seen
        assert "authorization" not in call.headers
        token = alice["Authorization"].removeprefix("Bearer ")
        assert token not in str(call.headers) + call.body.decode()
