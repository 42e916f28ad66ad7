"""Fields of A2A and of tools."""

from typing import Any

from tests.cases.effects import Call, Card, Child, Decided, Env, Queue, Refused, Status, Tested, Warned
from tests.cases.fields.rows import OTHER, REF, Row, row

from lambdaagent.children.warning_reasons import WarningReason

_ON: dict[str, Any] = {"a2a": {"enabled": True}}
_EXTENDED: dict[str, Any] = {"a2a": {"enabled": True, "extensions": [{"uri": "urn:a"}]}}
_PROVIDED: dict[str, Any] = {"a2a": {"enabled": True, "provider": {"organization": "X", "url": "http://x"}}}


def _skilled(protocol: str = "cloudevents", **fields: Any) -> dict[str, Any]:
    skill = {"id": "one", "name": "One", **fields}
    return {"a2a": {"enabled": True, "protocol": protocol, "skills": [skill]}}


def _granted(**fields: Any) -> dict[str, Any]:
    return {"a2a": {"enabled": True, "access": {"grants": [{"principals": ["corp:bob"], **fields}]}}}


_QUOTA, _SKILL = "test_a_caller_has_so_many_tasks_at_once", "test_a_skill_has_a_rate_of_its_own"


def _limited(word: str, *, test: str = "test_without_access_control_all_are_one_caller") -> Tested:
    return Tested("integration/access/test_limits.py", test, "status 429", word=word)


_SCHEMAS = "integration/mcp/test_schemas.py"
_INPUT_SCHEMA = Tested(
    _SCHEMAS,
    "test_wrong_arguments_are_named_and_reach_no_container",
    "schema of the tool's arguments, by which they are checked",
    word="city",
)
_OUTPUT_SCHEMA = Tested(
    _SCHEMAS,
    "test_a_result_that_does_not_match_is_shown_as_an_error",
    "schema of the tool's result, by which it is checked",
    word="degrees",
)
_EXTERNAL: dict[str, Any] = {"image": None, "external": {"url": "https://agent.example.com"}}


def _external(file: str, test: str, says: str, word: str) -> Tested:
    return Tested(f"integration/{file}", test, says, word=word)


def _header(**fields: Any) -> dict[str, Any]:
    return {"image": None, "external": {"url": "https://agent.example.com", "headersFrom": [fields]}}


_PROCESS, _SECRET = "gateway/test_external_process.py", "test_the_gateway_reads_the_named_secret_and_a_rotated_value"
EXTERNAL = [
    row(
        "external.url",
        "https://agent.example.com/rpc",
        _external(
            "gateway/test_external.py",
            "test_the_agents_credential_goes_out_and_the_callers_does_not",
            "URL of the call",
            "/rpc",
        ),
        **_EXTERNAL,
    ),
    row(
        "external.cardUrl",
        "https://agent.example.com/card",
        _external(
            "external/test_card_reader.py",
            "test_secret_headers_go_to_the_own_origin_alone",
            "URL of the request for the agent card",
            "/card",
        ),
        **_EXTERNAL,
    ),
    row(
        "external.headersFrom[].name",
        "X-Key",
        _external(_PROCESS, _SECRET, "header of requests to the server", "X-Key"),
        **_header(name="X-Other", secretKeyRef=OTHER),
    ),
    *[
        row(
            f"external.headersFrom[].secretKeyRef.{part}",
            value,
            _external(_PROCESS, _SECRET, "value of the header", value),
            **_header(name="X-Key", secretKeyRef=OTHER),
        )
        for part, value in REF.items()
    ],
]
_IDENTITY = "integration/access/test_identity.py"
A2A = [
    row(
        "a2a.enabled",
        True,
        Child("Service", "spec/type", "ExternalName", of="-a2a"),
        Status("a2aStatus/serviceName", "agent-a2a"),
    ),
    row("a2a.mode", "sidecar", Child("Service", "spec/template/spec/containers/1/name", "gateway"), **_ON),
    row("a2a.protocol", "http", Call("path", "/api/a2a/skills/one"), Call("ce-type", None), **_skilled()),
    Row(
        "a2a.container.path",
        "/a2a",
        (
            Tested(
                "integration/gateway/test_relay_endpoints.py",
                "test_the_resource_may_say_where_and_how_the_container_is_spoken_to",
                "path of the call with protocol a2a or mcp",
                word="path",
            ),
        ),
        _ON,
        bare=True,
    ),
    Row(
        "a2a.container.version",
        "0.3",
        (
            Tested(
                "integration/gateway/test_relay_endpoints.py",
                "test_the_resource_may_say_where_and_how_the_container_is_spoken_to",
                "methods of the call with protocol a2a",
                word="version",
            ),
        ),
        _ON,
        bare=True,
    ),
    Row(
        "a2a.container.cardPath",
        "/card",
        (
            Tested(
                "integration/gateway/test_remote_cards.py",
                "test_the_card_is_looked_for_where_it_is_said_to_be_and_the_error_names_every_path",
                "path of the request for the container's card with protocol a2a",
                word="cardPath",
            ),
        ),
        _ON,
        bare=True,
    ),
    row("a2a.extensions[].uri", "urn:b", Card("capabilities/extensions/0/uri"), **_EXTENDED),
    row("a2a.extensions[].description", "Why.", Card("capabilities/extensions/0/description"), **_EXTENDED),
    row(
        "a2a.extensions[].required",
        True,
        Card("capabilities/extensions/0/required"),
        Tested(
            "integration/gateway/test_remote.py",
            "test_an_extension_that_the_agent_requires_is_named_by_the_client_or_the_message_refused",
            "response to a message that does not request the extension",
            word="required",
        ),
        **_EXTENDED,
    ),
    row("a2a.extensions[].params", {"k": 1}, Card("capabilities/extensions/0/params"), **_EXTENDED),
    row("a2a.protocolVersions", ["0.3"], Card("supportedInterfaces/0/protocolVersion", "0.3"), **_ON),
    row("a2a.description", "Counts.", Card("description"), **_ON),
    row("a2a.version", "7.0", Card("version"), **_ON),
    row("a2a.capabilities.streaming", False, Card("capabilities/streaming"), **_ON),
    row("a2a.capabilities.pushNotifications", False, Card("capabilities/pushNotifications"), **_ON),
    row(
        "a2a.provider.organization",
        "Us",
        Card("provider/organization"),
        **_PROVIDED,
    ),
    row(
        "a2a.provider.url",
        "http://us",
        Card("provider/url"),
        **_PROVIDED,
    ),
    row("a2a.documentationUrl", "http://docs", Card("documentationUrl"), **_ON),
    row("a2a.iconUrl", "http://icon", Card("iconUrl"), **_ON),
    row(
        "a2a.enforceModes",
        True,
        Tested(
            "unit/tasks/test_engine.py",
            "test_what_cannot_be_sent_is_refused_and_nothing_is_made",
            "response to a message with such a part",
            word="enforceModes",
        ),
        **_ON,
    ),
    row(
        "a2a.maxConcurrentTasks",
        1,
        Tested(
            "unit/tasks/test_subscription.py",
            "test_an_agents_own_limit_makes_the_rest_wait_and_too_many_are_refused",
            "state of further tasks; status 429",
            word="maxConcurrentTasks",
        ),
        **_ON,
    ),
    row(
        "a2a.deduplicateMessages",
        True,
        Tested(
            "unit/tasks/test_subscription.py",
            "test_a_request_that_is_said_twice_is_done_once",
            "response to a repeated message",
            word="deduplicateMessages",
        ),
        **_ON,
    ),
    row("a2a.endpoint.basePath", "/own", Call("path", "/own/skills/one"), **_skilled("http")),
    row(
        "a2a.endpoint.discoveryEnabled",
        False,
        Tested(
            "integration/gateway/test_discovery.py",
            "test_an_agent_that_is_hidden_has_no_card_and_is_still_callable",
            "cards and `GET /agents`",
            word="discoveryEnabled",
        ),
        **_ON,
    ),
    row("a2a.access.public", True, Decided("public", caller="anonymous"), **_ON),
    row(
        "a2a.access.networkPolicy",
        True,
        Child("NetworkPolicy", "spec/policyTypes/0", "Ingress", on="kubernetes"),
        Warned(WarningReason.KUBERNETES_ONLY),
        **_ON,
    ),
    row(
        "a2a.access.identity",
        "assertion",
        Tested(
            _IDENTITY,
            "test_an_agent_presents_its_statement_to_call_another",
            "header `LambdaAgent-Identity` of the requests to the container",
            word="assertion",
        ),
        **_ON,
    ),
    row("a2a.access.grants[].principals", ["corp:alice"], Decided("grants[0]"), **_granted()),
    row("a2a.access.grants[].groups", ["corp:sales"], Decided("grants[0]"), **_granted()),
    row(
        "a2a.access.grants[].serviceAccounts",
        ["shop/cart"],
        Decided("grants[0]", caller="system:serviceaccount:shop:cart"),
        **_granted(),
    ),
    row("a2a.access.grants[].claims", {"team": ["other"]}, Decided("default"), **_granted(principals=["corp:alice"])),
    row("a2a.access.grants[].skills", ["two"], Decided("default"), **_granted(principals=["corp:alice"])),
    row("a2a.access.grants[].actions", ["read"], Decided("default"), **_granted(principals=["corp:alice"])),
    row("a2a.limits.requestsPerMinute", 1, _limited("requestsPerMinute"), **_ON),
    row("a2a.limits.concurrentTasks", 1, _limited("concurrentTasks", test=_QUOTA), **_ON),
    Row(
        "a2a.skills[].limits.requestsPerMinute", 1, (_limited("requestsPerMinute", test=_SKILL),), _skilled(), bare=True
    ),
    row(
        "a2a.skills[].limits.burst",
        2,
        _limited("burst", test=_SKILL),
        a2a={"enabled": True, "skills": [{"id": "one", "name": "One", "limits": {"requestsPerMinute": 60}}]},
    ),
    row("a2a.limits.burst", 2, _limited("burst"), a2a={"enabled": True, "limits": {"requestsPerMinute": 60}}),
    row("a2a.forwardHeaders", ["cookie"], Warned(WarningReason.CREDENTIAL_FORWARDED), **_ON),
    row("a2a.privateSkills", ["one"], Card("skills", []), **_skilled()),
    row("a2a.skills[].id", "two", Card("skills/0/id"), Call("path", "/api/a2a/skills/two"), **_skilled("http")),
    row("a2a.skills[].name", "Two", Card("skills/0/name"), **_skilled()),
    row("a2a.skills[].description", "Counts.", Card("skills/0/description"), **_skilled()),
    row("a2a.skills[].tags", ["sum"], Card("skills/0/tags"), **_skilled()),
    row("a2a.skills[].examples", ["One?"], Card("skills/0/examples"), **_skilled()),
    row("a2a.skills[].inputModes", ["json"], Card("skills/0/inputModes", ["application/json"]), **_skilled()),
    row("a2a.skills[].outputModes", ["json"], Card("skills/0/outputModes", ["application/json"]), **_skilled()),
    Row("a2a.skills[].inputSchema", {"type": "object", "required": ["city"]}, (_INPUT_SCHEMA,), _skilled()),
    Row("a2a.skills[].outputSchema", {"required": ["degrees"]}, (_OUTPUT_SCHEMA,), _skilled()),
    row("a2a.skills[].invoke.eventType", "do.it", Call("ce-type"), **_skilled()),
    row(
        "a2a.skills[].invoke.taskSupport",
        "required",
        Tested(
            "integration/mcp/test_tasks.py",
            "test_a_skill_that_runs_long_refuses_who_does_not_know_tasks",
            "error of a tool's call (MCP) without the Tasks extension",
            word="taskSupport",
        ),
        **_skilled(),
    ),
    row(
        "a2a.skills[].invoke.sharedContext",
        True,
        Tested(
            "integration/coordination/test_contexts.py",
            "test_a_container_gets_the_context_that_its_skill_asks_for_and_its_caller_shares",
            "sharedContext in the body of a call",
            word="sharedContext",
        ),
        **_skilled(),
    ),
    row(
        "a2a.skills[].invoke.replyType",
        "my.reply",
        Tested(
            "unit/tasks/test_engine_events.py",
            "test_only_the_tasks_agent_and_those_it_forwards_to_may_advance_it",
            "state of the task",
            word="my.reply",
        ),
        **_skilled(),
    ),
    row("a2a.skills[].invoke.path", "/do", Call("path"), **_skilled("http")),
    row("a2a.skills[].invoke.textField", "prompt", Call("text"), **_skilled()),
    row(
        "a2a.skills[].invoke.mode",
        "async",
        Queue("bindings", ({"type": "io.knative.lambda.invoke.async", "a2aagent": "agent"},)),
        **_skilled(),
        eventing={"enabled": True},
    ),
    row(
        "a2a.skills[].invoke.timeoutSeconds",
        500,
        Call("time", 500.0),
        Warned(WarningReason.TIMEOUT_SHORTER),
        **_skilled(),
    ),
    row(
        "a2a.skills[].invoke.idempotent",
        True,
        Tested(
            "unit/tasks/test_recovery.py",
            "test_after_a_restart_what_may_be_repeated_is_begun_anew",
            "task after a failure of its gateway",
            word="idempotent",
        ),
        **_skilled(),
    ),
]


def _servers(name: str = "m", endpoint: str = "http://m", names: str = "", more: str = "") -> Env:
    return Env("MCP_SERVERS", f'[{{"name":"{name}","endpoint":"{endpoint}","toolNames":[{names}]{more}}}]')


_TOOLS: dict[str, Any] = {"tools": [{"mcpServer": {"name": "m", "endpoint": "http://m"}}]}
_HEADER = {"name": "X-Key", "secretKeyRef": OTHER}
_SECRET: dict[str, Any] = {"tools": [{"mcpServer": {"name": "m", "endpoint": "http://m", "headersFrom": [_HEADER]}}]}
_VARIABLE = "MCP_SERVER_0_HEADER_0"
TOOLS = [
    row("tools[].type", "http", Refused(), **_TOOLS),
    row("tools[].mcpServer.name", "n", _servers(name="n"), **_TOOLS),
    row("tools[].mcpServer.endpoint", "http://n", _servers(endpoint="http://n"), **_TOOLS),
    row("tools[].mcpServer.toolNames", ["add"], _servers(names='"add"'), **_TOOLS),
    row(
        "tools[].mcpServer.headersFrom[].name",
        "Authorization",
        _servers(more=f',"headers":[{{"name":"Authorization","valueFrom":"{_VARIABLE}"}}]'),
        **_SECRET,
    ),
    *(
        row(
            f"tools[].mcpServer.headersFrom[].secretKeyRef.{part}",
            value,
            Env(_VARIABLE, at=f"valueFrom/secretKeyRef/{part}", says="variable that `MCP_SERVERS` names"),
            **_SECRET,
        )
        for part, value in REF.items()
    ),
    row("tools[].mcpServer.timeoutSeconds", 20, _servers(more=',"timeoutSeconds":20'), **_TOOLS),
]
