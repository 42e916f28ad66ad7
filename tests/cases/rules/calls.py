"""Values that the API refuses in the fields of events and calls, and names that it refuses."""

from tests.cases.rules.rule import Rule, delivery, external, grant, skill, subscriptions, tools

_DELIVERY = "spec.eventing.delivery"
_GRANT = "spec.a2a.access.grants[0]"

REFUSED = [
    Rule(
        "subscription without type", {"eventing": {"subscriptions": [{}]}}, "spec.eventing.subscriptions[0].eventType"
    ),
    Rule(
        "subscription with an empty type",
        {"eventing": {"subscriptions": [{"eventType": ""}]}},
        "spec.eventing.subscriptions[0].eventType",
    ),
    Rule(
        "forward without types",
        {"eventing": {"forwards": [{"eventTypes": [], "targetAgent": "b", "targetNamespace": "n"}]}},
        "spec.eventing.forwards[0].eventTypes",
    ),
    Rule("too many retries", {"eventing": {"dlq": {"retryMaxAttempts": 101}}}, "spec.eventing.dlq.retryMaxAttempts"),
    Rule(
        "delay that is not ISO 8601",
        {"eventing": {"delivery": {"backoffDelay": "1s"}}},
        "spec.eventing.delivery.backoffDelay",
    ),
    Rule("delay in milliseconds", delivery(backoffDelay="PT0.05S"), f"{_DELIVERY}.backoffDelay"),
    Rule("delay over what Knative's parser holds", delivery(backoffDelay="PT3277S"), f"{_DELIVERY}.backoffDelay"),
    *[
        Rule(f"delay {text!r}", delivery(backoffDelay=text), f"{_DELIVERY}.backoffDelay")
        for text in ("", "P", "PT", "P1DT", "1S", "-PT1S", "P1Y")
    ],
    Rule("no time for a delivery", delivery(timeout="PT0S"), f"{_DELIVERY}.timeout"),
    Rule("no time in tenths for a delivery", delivery(timeout="P0DT0H0.0S"), f"{_DELIVERY}.timeout"),
    Rule("delivery timeout that is not ISO 8601", delivery(timeout="30s"), f"{_DELIVERY}.timeout"),
    Rule("negative retries", delivery(retry=-1), f"{_DELIVERY}.retry"),
    Rule("unknown backoff", delivery(backoffPolicy="random"), f"{_DELIVERY}.backoffPolicy"),
    Rule("parallelism over a thousand", {"eventing": {"parallelism": 1001}}, "spec.eventing.parallelism"),
    Rule(
        "forward with an empty type",
        {"eventing": {"forwards": [{"eventTypes": [""], "targetAgent": "b", "targetNamespace": "n"}]}},
        "spec.eventing.forwards[0].eventTypes[0]",
    ),
    Rule("more than 512 subscriptions", subscriptions(513), "spec.eventing.subscriptions"),
    Rule(
        "cluster that is no name",
        {"eventing": {"rabbitmq": {"clusterName": "A_1"}}},
        "spec.eventing.rabbitmq.clusterName",
    ),
    Rule("broker that is no name", {"eventing": {"broker": {"name": "My.Broker"}}}, "spec.eventing.broker.name"),
    Rule(
        "scrape longer than its interval",
        {"observability": {"metrics": {"interval": "10s", "timeout": "11s"}}},
        "spec.observability.metrics",
    ),
    Rule(
        "scrape interval in fractions",
        {"observability": {"metrics": {"interval": "1.5m"}}},
        "spec.observability.metrics.interval",
    ),
    Rule("parallelism of zero", {"eventing": {"parallelism": 0}}, "spec.eventing.parallelism"),
    Rule("named dedicated broker", {"eventing": {"broker": {"name": "b", "dedicated": True}}}, "spec.eventing.broker"),
    Rule("broker name over 48", {"eventing": {"broker": {"name": "b" * 49}}}, "spec.eventing.broker.name"),
    Rule("skill id with capitals", skill(id="One"), "spec.a2a.skills[0].id"),
    Rule("skill id over 63", skill(id="a" * 64), "spec.a2a.skills[0].id"),
    Rule(
        "skill id twice",
        {"a2a": {"skills": [{"id": "a", "name": "A"}, {"id": "a", "name": "B"}]}},
        "spec.a2a.skills[1].id",
        cluster="spec.a2a.skills[1]",
    ),
    Rule("extension without a scheme", {"a2a": {"extensions": [{"uri": "x"}]}}, "spec.a2a.extensions[0].uri"),
    Rule("extension with a comma", {"a2a": {"extensions": [{"uri": "urn:a,b"}]}}, "spec.a2a.extensions[0].uri"),
    Rule(
        "extension twice",
        {"a2a": {"extensions": [{"uri": "urn:a"}, {"uri": "urn:a"}]}},
        "spec.a2a.extensions[1].uri",
        cluster="spec.a2a.extensions[1]",
    ),
    Rule("card path without a slash", {"a2a": {"container": {"cardPath": "x"}}}, "spec.a2a.container.cardPath"),
    Rule("skill timeout of zero", skill(invoke={"timeoutSeconds": 0}), "spec.a2a.skills[0].invoke.timeoutSeconds"),
    Rule("arguments that are no object", skill(inputSchema={"type": "string"}), "spec.a2a.skills[0].inputSchema.type"),
    Rule("arguments without a type", skill(inputSchema={}), "spec.a2a.skills[0].inputSchema.type"),
    Rule("a schema that is none", skill(outputSchema=True), "spec.a2a.skills[0].outputSchema"),
    Rule("unknown invoke mode", skill(invoke={"mode": "later"}), "spec.a2a.skills[0].invoke.mode"),
    Rule("base path with trailing slash", {"a2a": {"endpoint": {"basePath": "/a/"}}}, "spec.a2a.endpoint.basePath"),
    Rule("base path of the gateway", {"a2a": {"endpoint": {"basePath": "/events/a"}}}, "spec.a2a.endpoint.basePath"),
    Rule("well-known base path", {"a2a": {"endpoint": {"basePath": "/.well-known"}}}, "spec.a2a.endpoint.basePath"),
    Rule("no protocol version", {"a2a": {"protocolVersions": []}}, "spec.a2a.protocolVersions"),
    Rule(
        "unknown tool type",
        {"tools": [{"type": "http", "mcpServer": {"name": "m", "endpoint": "http://m"}}]},
        "spec.tools[0].type",
    ),
    Rule("name beginning with a digit", {}, "metadata.name", name="1agent"),
    Rule("name over 63", {}, "metadata.name", name="a" * 64),
    Rule("name with a dot", {}, "metadata.name", name="a.b"),
    Rule("grant for nobody", grant(actions=["read"]), "spec.a2a.access.grants[0]"),
    Rule("grant for an empty list", grant(principals=[]), "spec.a2a.access.grants[0]"),
    Rule("grant for a name without a source", grant(principals=["alice"]), f"{_GRANT}.principals[0]"),
    Rule("grant for a name with a space", grant(principals=["corp:a b"]), f"{_GRANT}.principals[0]"),
    *[
        Rule(f"account {text!r}", grant(serviceAccounts=[text]), f"{_GRANT}.serviceAccounts[0]")
        for text in ("shop", "shop/", "*/shop", "*", "Shop/cart", "shop/cart/x")
    ],
    Rule("an action that is none", grant(principals=["corp:a"], actions=["write"]), f"{_GRANT}.actions[0]"),
    Rule("a claim without a value", grant(claims={"team": []}), f"{_GRANT}.claims.team"),
    Rule(
        "an identity that a sidecar cannot sign",
        {"a2a": {"enabled": True, "mode": "sidecar", "access": {"identity": "assertion"}}},
        "spec.a2a.access",
    ),
    *[
        Rule(f"header {name!r}", {"a2a": {"enabled": True, "forwardHeaders": [name]}}, "spec.a2a.forwardHeaders[0]")
        for name in (
            "Content-Type",
            "content-length",
            "ce-type",
            "a2a-version",
            "host",
            "lambdaagent-identity",
            "",
            "-",
        )
    ],
    *[
        Rule(f"tools' header {name!r}", tools(name), "spec.tools[0].mcpServer.headersFrom[0].name")
        for name in ("Content-Type", "Mcp-Session-Id", "mcp-method", "HOST", "", "a b", "x\n")
    ],
    Rule(
        "a header twice",
        tools("X-Key", "X-Key"),
        "spec.tools[0].mcpServer.headersFrom[1].name",
        cluster="spec.tools[0].mcpServer.headersFrom[1]",
    ),
    Rule("no time for a tool", tools(timeoutSeconds=0), "spec.tools[0].mcpServer.timeoutSeconds"),
    Rule("no image", {"image": None}, "spec.image"),
    Rule("an external agent with an image", external() | {"image": {"repository": "example.com/agent"}}, "spec.image"),
    Rule("an external agent without a URL", {"image": None, "external": {}}, "spec.external.url"),
    Rule("an external agent of another protocol", external(protocol="http"), "spec.a2a.protocol"),
    Rule("an external agent behind a sidecar", external(mode="sidecar"), "spec.a2a.mode"),
    Rule("an external agent with a container", external(container={"version": "0.3"}), "spec.a2a.container"),
    Rule("an external agent with callers' headers", external(forwardHeaders=["x-team"]), "spec.a2a.forwardHeaders"),
    Rule(
        "an external agent with calls as events",
        external(skills=[{"id": "a", "name": "A", "invoke": {"mode": "async"}}]),
        "spec.a2a.skills[0].invoke.mode",
        cluster="spec.a2a.skills",
    ),
    Rule(
        "a card of an MCP server",
        {
            "image": None,
            "external": {"url": "https://a.example.com", "cardUrl": "https://a.example.com/card"},
            "a2a": {"protocol": "mcp"},
        },
        "spec.external.cardUrl",
    ),
    *[
        Rule(f"external URL {url!r}", external(url), "spec.external.url")
        for url in ("", "ftp://a.example.com/", "a.example.com", "https://me:secret@a.example.com/", "https://a/#b")
    ],
    *[
        Rule(f"secret header {name}", external(headers=[name]), "spec.external.headersFrom[0].name")
        for name in ("A2A-Version", "host", "Traceparent", "LambdaAgent-Identity", "Mcp-Method", "a b")
    ],
    Rule(
        "a secret header twice",
        external(headers=["X-Key", "X-Key"]),
        "spec.external.headersFrom[1].name",
        cluster="spec.external.headersFrom[1]",
    ),
]
