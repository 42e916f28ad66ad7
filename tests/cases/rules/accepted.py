"""Values that look wrong and that the API must accept."""

from tests.cases.rules.rule import Rule, delivery, external, image, prompt, secret, skill, subscriptions, tools, traffic

ACCEPTED = [
    Rule("an external agent with nothing but a URL", external(), ""),
    Rule("an external agent on IPv6", external("https://[2001:db8::1]:8443/rpc?agent=a", enabled=False), ""),
    Rule("an external MCP server with secret headers", external(headers=["Authorization"], protocol="mcp"), ""),
    Rule("a variable of 128 KiB", {"env": [{"name": "A", "value": "x" * 131069}]}, ""),
    Rule("a variable of 128 KiB, of two bytes a letter", {"env": [{"name": "AB", "value": "\u00e9" * 65534}]}, ""),
    Rule("a prompt as long as it may be", prompt(32764), ""),
    Rule("name of 63 characters", {}, "", name="a" * 63),
    Rule(
        "schemas of arguments and results",
        skill(
            inputSchema={
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": {"city": {"$ref": "#/$defs/city"}, "days": {"type": "integer", "minimum": 1}},
                "required": ["city"],
                "additionalProperties": False,
                "$defs": {"city": {"type": "string", "pattern": "^[A-Z]"}},
            },
            outputSchema={"type": "array", "items": {"type": ["number", "null"]}},
        ),
        "",
    ),
    Rule("200 subscriptions", subscriptions(200), ""),
    Rule("512 subscriptions", subscriptions(512), ""),
    *[
        Rule(f"repository {repository}", {"image": {"repository": repository}}, "")
        for repository in (
            "agent",
            "team/agent",
            "localhost:5001/agent",
            "localhost/agent",
            "registry:5000/team/agent",
            "ghcr.io/team/agent",
            "Registry.Example.com/agent",
            "example.com:443/a/b/c__d.e-f",
            "[::1]:5000/agent",
        )
    ],
    Rule("tag with dots and dashes", image(tag="v20251224-abc12345.rc_1"), ""),
    *[
        Rule(f"grace period {text}", {"scaling": {"minReplicas": 1, "scaleToZeroGracePeriod": text}}, "")
        for text in ("0s", "30s", "300s", "500ms", "1m30s", "1.5m", "60m", "1h")
    ],
    Rule("request equal to its limit", {"resources": {"requests": {"cpu": "1000m"}, "limits": {"cpu": "1"}}}, ""),
    Rule(
        "request under its limit in another unit",
        {"resources": {"requests": {"memory": "1000M"}, "limits": {"memory": "1Gi"}}},
        "",
    ),
    Rule("request without a limit", {"resources": {"requests": {"cpu": "1e1", "memory": "128Mi"}}}, ""),
    Rule("variable with a dot first", {"env": [{"name": ".A", "value": ""}]}, ""),
    Rule("variable of the container's own", {"env": [{"name": "K_SINK", "value": "http://sink"}]}, ""),
    Rule("key of a Secret like a file", secret("my.secret", ".dockerconfigjson"), ""),
    Rule("longer answers than Knative's default", {"serving": {"timeoutSeconds": 3600}}, ""),
    Rule("first byte before the default end", {"serving": {"responseStartTimeoutSeconds": 300}}, ""),
    Rule(
        "traffic on two revisions and a tag",
        traffic(
            {"latestRevision": True, "percent": 90},
            {"revisionName": "a-00001", "latestRevision": False, "percent": 10, "tag": "old"},
            {"tag": "new"},
        ),
        "",
    ),
    *[
        Rule(f"delay {text}", delivery(backoffDelay=text, timeout="PT0.1S"), "")
        for text in ("PT0.5S", "PT1S", "PT1M30S", "PT1H", "P1D", "P1DT12H", "PT0S")
    ],
    Rule(
        "wildcards, which are only warned of",
        {"eventing": {"subscriptions": [{"eventType": "a.*", "source": "*"}]}},
        "",
    ),
    Rule("traces to a host and port", {"observability": {"tracing": {"endpoint": "alloy.observability.svc:4317"}}}, ""),
    Rule("any namespace", {"permissions": {"allowedTargetNamespaces": ["*"]}}, ""),
    Rule("probe without a period", {"behavior": {"healthCheck": {"readiness": {"failureThreshold": 3}}}}, ""),
    Rule("headers of a tools' server", tools("Authorization", "X-API-Key", "x_key", "a", timeoutSeconds=3600), ""),
]
