"""Where the card and the endpoint of a container that is an A2A server are found."""

import json

import pytest
from tests.integration.gateway import remote as by_hand
from tests.integration.gateway.remote import AGENT, HI, Json, Remote, serve, stream
from tests.parts.gateway import message, world
from tests.parts.upstream import PlainAgent


@pytest.mark.parametrize(
    ("options", "tried"),
    [
        (
            {"path": "/a"},
            ["/a/.well-known/agent-card.json", "/a/.well-known/agent.json", "/.well-known/agent-card.json",
             "/.well-known/agent.json"],
        ),
        ({"cardPath": "/api/.well-known/x/agent-card.json?v=1"}, ["/api/.well-known/x/agent-card.json?v=1"]),
        ({"path": "/a", "cardPath": "/card"}, ["/card"]),
    ],
)  # fmt: skip
async def test_the_card_is_looked_for_where_it_is_said_to_be_and_the_error_names_every_path(
    container: PlainAgent, options: Json, tried: list[str]
) -> None:
    async with world() as found:
        server = Remote()
        serve(container, found, server, container=options)
        container.respond = lambda _: (404, {}, b"")
        failed = (await found.rpc("SendMessage", {"message": message("x")}, path=AGENT))["result"]["task"]
        text = failed["status"]["message"]["parts"][0]["text"]
        assert [each.path for each in container.seen if each.method == "GET"] == tried
        assert all(f"{path} answers 404" in text for path in tried)
        card = json.dumps(server.card()).encode()
        server.answers["SendMessage"] = HI
        container.respond = lambda seen: (
            (200, {"Content-Type": "application/json"}, card) if seen.path == tried[-1] else server.respond(seen)
            if seen.method == "POST" else (404, {}, b"")
        )  # fmt: skip
        result = (await found.rpc("SendMessage", {"message": message("x")}, path=AGENT))["result"]
        assert result["message"]["parts"] == [{"text": "hi"}]


@pytest.mark.parametrize("named", ["message:send", "message:stream"])
async def test_a_server_with_a_path_for_each_operation_is_asked_at_each(container: PlainAgent, named: str) -> None:
    states = iter(["WORKING", "INPUT_REQUIRED"])
    server = Remote("0.3", streaming=True)
    asks = {**by_hand.task("INPUT_REQUIRED"), "kind": "task"}
    server.answers = {
        "message/send": {**by_hand.task("WORKING"), "kind": "task"},
        "message/stream": [asks],
        "tasks/get": lambda _: {**by_hand.task(next(states)), "kind": "task"},
        "tasks/cancel": {**by_hand.task("CANCELED"), "kind": "task"},
    }
    async with world() as found:
        serve(container, found, server, container={"path": f"/agents/x/v1/{named}", "version": "0.3"})
        params = {"message": message("x", contextId="c")}
        asked = (await found.rpc("SendMessage", params, path=AGENT))["result"]["task"]
        await found.rpc("CancelTask", {"id": asked["id"]}, path=AGENT)
        await stream(found, params)
    paths = [(each.path, json.loads(each.body)["params"].get("contextId")) for each in container.seen if each.body]
    root = "/agents/x/v1/"
    assert paths == [
        (f"{root}message:send", None),
        (f"{root}tasks:get", "c"),
        (f"{root}tasks:get", "c"),
        (f"{root}tasks:cancel", "c"),
        (f"{root}message:stream", None),
    ]


async def test_a_card_that_the_container_cannot_give_yet_is_looked_for_again(container: PlainAgent) -> None:
    async with world() as found:
        server = Remote(streaming=True, answers={"SendMessage": HI, "SendStreamingMessage": [HI]})
        serve(container, found, server, container={"path": "/rpc", "version": "1.0"})
        container.respond = lambda seen: (503, {}, b"") if seen.method == "GET" else server.respond(seen)
        await stream(found, {"message": message("x")})
        container.respond = server.respond
        await stream(found, {"message": message("x")})
    assert [request.method for request in server.requests] == ["SendMessage", "SendStreamingMessage"]
