"""What status says about an agent's tool servers: which one is asked, what is shown, and what is not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from lambdaagent.api.agent import AgentStatus, LambdaAgent, parse
from lambdaagent.status import tools
from lambdaagent.status.tools import ServerAnswer, ToolServer

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DOMAIN = "cluster.local"


def agent(*servers: dict[str, Any]) -> LambdaAgent:
    given = [{"mcpServer": {"name": f"m{number}", **server}} for number, server in enumerate(servers)]
    metadata = {"name": "cook", "namespace": "shop", "generation": 3}
    return parse({"metadata": metadata, "spec": {"image": {"repository": "r"}, "tools": given}})


def server_of(found: LambdaAgent, place: int = 0) -> ToolServer:
    return tools.tool_servers(found, domain=DOMAIN)[place][1]


def shown(found: LambdaAgent, answer: ServerAnswer, previous: Any = (), now: datetime = NOW) -> Any:
    return tools.shown(found, {server_of(found): answer}, domain=DOMAIN, previous=previous, now=now)


@pytest.mark.parametrize(
    ("endpoint", "asked"),
    [
        ("http://mcp", "http://mcp.shop.svc.cluster.local"),
        ("http://mcp:8080/a?b=c", "http://mcp.shop.svc.cluster.local:8080/a?b=c"),
        ("http://user:word@mcp:1/", "http://user:word@mcp.shop.svc.cluster.local:1/"),
        ("http://mcp.tools.svc/mcp", "http://mcp.tools.svc/mcp"),
        ("https://example.com/mcp", "https://example.com/mcp"),
        ("http://localhost:1/mcp", "http://localhost:1/mcp"),
        ("http://[::1]:1/mcp", "http://[::1]:1/mcp"),
    ],
)
def test_a_bare_name_is_a_service_in_the_namespace_of_the_agent(endpoint: str, asked: str) -> None:
    assert server_of(agent({"endpoint": endpoint})).url == asked


@pytest.mark.parametrize(("seconds", "waits"), [(None, 10), (1, 10), (20, 20), (3600, 30)])
def test_the_operator_waits_within_limits(seconds: int | None, waits: float) -> None:
    more = {"timeoutSeconds": seconds} if seconds else {}
    assert server_of(agent({"endpoint": "http://m.x.svc", **more})).seconds == waits


def test_agents_share_a_server_unless_its_headers_are_secrets_of_a_namespace() -> None:
    plain = agent({"endpoint": "http://m.x.svc"}, {"endpoint": "http://m.x.svc"})
    assert server_of(plain) == server_of(plain, 1)
    assert server_of(plain).namespace == ""
    header = {"name": "X-Key", "secretKeyRef": {"name": "s", "key": "k"}}
    assert server_of(agent({"endpoint": "http://m.x.svc", "headersFrom": [header]})).namespace == "shop"


def test_an_endpoint_that_is_no_url_is_said_to_be_none() -> None:
    found = agent({"endpoint": "http://[/"})
    assert tools.tool_servers(found, domain=DOMAIN) == []
    condition = tools.tools_resolved(found, {}, domain=DOMAIN, previous={})
    assert condition is not None
    assert condition.reason == "BadEndpoint"


def test_what_servers_say_is_bounded_and_valid() -> None:
    found = agent(*({"endpoint": f"http://m{number}.x.svc"} for number in range(64)))
    many = tuple((f"t{number:04}".ljust(128, "x"), "\U0001f35d" * 200) for number in range(2000))
    answers = {server: ServerAnswer("2026-07-28", many) for _, server in tools.tool_servers(found, domain=DOMAIN)}
    entries = tools.shown(found, answers, domain=DOMAIN, previous=(), now=NOW)
    assert len(entries[0]["tools"]) == 100
    assert {entry["toolCount"] for entry in entries} == {2000}
    assert len(orjson.dumps(entries)) < 400_000
    AgentStatus.model_validate({"tools": entries})


def test_many_missing_names_are_bounded() -> None:
    found = agent({"endpoint": "http://m.x.svc", "toolNames": [f"t{number:03}" for number in range(512)]})
    (entry,) = shown(found, ServerAnswer("2025-11-25"))
    assert len(entry["missing"]) == 100
    condition = tools.tools_resolved(found, {server_of(found): ServerAnswer("2025-11-25")}, domain=DOMAIN, previous={})
    assert condition is not None
    assert condition.message.startswith("m0 (http://m.x.svc) lacks t000, t001, t002, t003, t004 and 507 more;")


def test_the_time_changes_with_the_content_alone() -> None:
    found, answer = agent({"endpoint": "http://m.x.svc"}), ServerAnswer("2025-11-25", (("a", ""),))
    first = shown(found, answer)
    later = shown(found, answer, first, NOW + timedelta(hours=1))
    assert later == first
    (changed,) = shown(found, ServerAnswer("2025-11-25", (("b", ""),)), first, NOW + timedelta(hours=1))
    assert changed["lastSync"] == "2026-01-02T01:00:00Z"


def test_a_password_in_the_url_is_not_shown() -> None:
    found = agent({"endpoint": "http://user:hidden@m.x.svc/mcp"})
    assert "hidden" not in str(shown(found, ServerAnswer(problem="no")))
    condition = tools.tools_resolved(found, {server_of(found): ServerAnswer(problem="no")}, domain=DOMAIN, previous={})
    assert "hidden" not in str(condition)


def test_before_the_first_answer_what_is_known_stays() -> None:
    found = agent({"endpoint": "http://m.x.svc"})
    known = {"type": "ToolsResolved", "status": "True", "reason": "Resolved", "message": "x", "observedGeneration": 3}
    for generation, reason in ((3, "Resolved"), (2, "NotAsked")):
        previous = {"conditions": [{**known, "observedGeneration": generation}]}
        condition = tools.tools_resolved(found, {}, domain=DOMAIN, previous=previous)
        assert condition is not None
        assert condition.reason == reason
    entry = {"name": "m0", "endpoint": "http://m.x.svc", "ready": True, "lastSync": "x"}
    assert tools.shown(found, {}, domain=DOMAIN, previous=[entry], now=NOW) == [entry]
    assert tools.shown(found, {}, domain=DOMAIN, previous=(), now=NOW) == [
        {"name": "m0", "endpoint": "http://m.x.svc", "ready": False}
    ]


def test_the_worst_answer_is_the_condition() -> None:
    found = agent({"endpoint": "http://a.x.svc", "toolNames": ["t"]}, {"endpoint": "http://b.x.svc"})
    first, second = server_of(found), server_of(found, 1)
    good, lacking = ServerAnswer("v", (("t", ""),)), ServerAnswer("v")
    broken, secret = ServerAnswer(problem="down"), ServerAnswer(not_asked="no right")
    for answers, expected in (
        ((good, good), ("True", "Resolved")),
        ((lacking, good), ("False", "ToolsMissing")),
        ((lacking, broken), ("False", "ServerUnreachable")),
        ((good, secret), ("Unknown", "SecretNotReadable")),
        ((lacking, secret), ("False", "ToolsMissing")),
    ):
        given = dict(zip((first, second), answers, strict=True))
        condition = tools.tools_resolved(found, given, domain=DOMAIN, previous={})
        assert condition is not None
        assert (condition.status, condition.reason) == expected
