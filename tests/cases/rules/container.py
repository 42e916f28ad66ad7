"""Values that the API refuses in the fields of the container: image, scaling, AI, variables, resources, serving."""

from tests.cases.rules.rule import Rule, image, prompt, secret, traffic

_TRAFFIC = "spec.serving.traffic"
_SECRET = "spec.env[0].valueFrom.secretKeyRef"

REFUSED = [
    Rule("image without repository", {"image": {"tag": "v1"}}, "spec.image.repository"),
    Rule("empty repository", {"image": {"repository": ""}}, "spec.image.repository"),
    Rule("digest of the wrong form", {"image": {"repository": "r", "digest": "sha256:12"}}, "spec.image.digest"),
    *[
        Rule(f"port {port} of the queue-proxy", image(port=port), "spec.image.port")
        for port in (8008, 8012, 8013, 8022, 9090, 9091)
    ],
    Rule("a variable of more than 128 KiB", {"env": [{"name": "A", "value": "x" * 131070}]}, "spec.env[0].value"),
    Rule("a prompt of more bytes than letters", prompt(65536), "spec.behavior.systemPrompt"),
    Rule("an argument of 128 KiB", image(args=["\U0001f35d" * 32768]), "spec.image.args[0]"),
    Rule("port zero", image(port=0), "spec.image.port"),
    *[
        Rule(f"repository {title}", {"image": {"repository": repository}}, "spec.image.repository")
        for title, repository in {
            "with a tag": "example.com/agent:v1",
            "with a digest": f"example.com/agent@sha256:{'0' * 64}",
            "with capitals": "example.com/Agent",
            "with a capital first part that is no host": "Example/agent",
            "with a scheme": "https://example.com/agent",
            "with a slash at its end": "example.com/agent/",
            "with an empty part": "example.com//agent",
            "with a space": "example.com/my agent",
        }.items()
    ],
    Rule("repository over 255", {"image": {"repository": f"example.com/{'a' * 244}"}}, "spec.image.repository"),
    Rule("tag with a slash", image(tag="v1/2"), "spec.image.tag"),
    Rule("tag over 128", image(tag="v" * 129), "spec.image.tag"),
    Rule("tag beginning with a dash", image(tag="-v1"), "spec.image.tag"),
    Rule("tag beyond ASCII", image(tag="versión"), "spec.image.tag"),
    Rule("digest with capitals", image(digest=f"sha256:{'A' * 64}"), "spec.image.digest"),
    Rule("pull secret that is no name", image(imagePullSecrets=["My Secret"]), "spec.image.imagePullSecrets[0]"),
    Rule("service account that is no name", {"serviceAccountName": "a..b"}, "spec.serviceAccountName"),
    Rule("port out of range", {"image": {"repository": "r", "port": 70000}}, "spec.image.port"),
    Rule("unknown pull policy", {"image": {"repository": "r", "pullPolicy": "Sometimes"}}, "spec.image.pullPolicy"),
    Rule("minimum over maximum", {"scaling": {"minReplicas": 3, "maxReplicas": 2}}, "spec.scaling"),
    Rule("minimum over the default maximum", {"scaling": {"minReplicas": 11}}, "spec.scaling"),
    Rule("negative minimum", {"scaling": {"minReplicas": -1}}, "spec.scaling.minReplicas"),
    Rule(
        "grace period without unit",
        {"scaling": {"scaleToZeroGracePeriod": "30"}},
        "spec.scaling.scaleToZeroGracePeriod",
    ),
    Rule(
        "grace period over an hour",
        {"scaling": {"scaleToZeroGracePeriod": "61m"}},
        "spec.scaling.scaleToZeroGracePeriod",
    ),
    Rule(
        "negative grace period", {"scaling": {"scaleToZeroGracePeriod": "-1s"}}, "spec.scaling.scaleToZeroGracePeriod"
    ),
    Rule("no target concurrency", {"scaling": {"targetConcurrency": 0}}, "spec.scaling.targetConcurrency"),
    Rule("no maximum", {"scaling": {"minReplicas": 0, "maxReplicas": 0}}, "spec.scaling.maxReplicas"),
    Rule("openai without key", {"ai": {"provider": "openai"}}, "spec.ai.apiKeySecretRef"),
    Rule("anthropic without key", {"ai": {"provider": "anthropic"}}, "spec.ai.apiKeySecretRef"),
    Rule("unknown provider", {"ai": {"provider": "llama"}}, "spec.ai.provider"),
    Rule("temperature above two", {"ai": {"temperature": "2.1"}}, "spec.ai.temperature"),
    Rule("temperature as a number", {"ai": {"temperature": 0.7}}, "spec.ai.temperature"),
    Rule("too many tokens", {"ai": {"maxTokens": 1000001}}, "spec.ai.maxTokens"),
    Rule("endpoint without scheme", {"ai": {"endpoint": "ollama:11434"}}, "spec.ai.endpoint"),
    Rule("unknown operation mode", {"operationMode": "wild"}, "spec.operationMode"),
    Rule("approval without providers", {"approval": {"providers": []}}, "spec.approval.providers"),
    Rule(
        "custom approval without endpoint",
        {"approval": {"providers": ["custom"], "custom": {}}},
        "spec.approval.custom.endpoint",
    ),
    Rule("unknown memory schema", {"memory": {"schema": "garden"}}, "spec.memory.schema"),
    *[
        Rule(
            f"reserved variable {name}", {"env": [{"name": name, "value": "x"}]}, "spec.env[0].name", cluster="spec.env"
        )
        for name in ("PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION")
    ],
    *[
        Rule(f"variable {name!r}", {"env": [{"name": name, "value": "x"}]}, "spec.env[0].name")
        for name in ("", "1 A", "1A", "A=B", ".", "..", "..A", "Ä")
    ],
    Rule("key of a Secret with a slash", secret("s", "a/b"), f"{_SECRET}.key"),
    Rule("key of a Secret that is a parent folder", secret("s", ".."), f"{_SECRET}.key"),
    Rule("empty key of a Secret", secret("s", ""), f"{_SECRET}.key"),
    Rule("Secret that is no name", secret("My_Secret", "k"), f"{_SECRET}.name"),
    Rule(
        "value and valueFrom",
        {"env": [{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
        "spec.env[0]",
    ),
    Rule("valueFrom without source", {"env": [{"name": "A", "valueFrom": {}}]}, "spec.env[0].valueFrom"),
    Rule(
        "valueFrom with two sources",
        {
            "env": [
                {
                    "name": "A",
                    "valueFrom": {
                        "secretKeyRef": {"name": "s", "key": "k"},
                        "configMapKeyRef": {"name": "s", "key": "k"},
                    },
                }
            ]
        },
        "spec.env[0].valueFrom",
    ),
    Rule("quantity of the wrong form", {"resources": {"limits": {"memory": "1 GB"}}}, "spec.resources.limits.memory"),
    Rule("negative quantity", {"resources": {"requests": {"cpu": "-1"}}}, "spec.resources.requests.cpu"),
    Rule(
        "more processor time than its limit",
        {"resources": {"requests": {"cpu": "1001m"}, "limits": {"cpu": "1"}}},
        "spec.resources",
    ),
    Rule(
        "more memory than its limit",
        {"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1000M"}}},
        "spec.resources",
    ),
    *[
        Rule(
            f"probe with {name} {value}",
            {"behavior": {"healthCheck": {"readiness": {name: value}}}},
            f"spec.behavior.healthCheck.readiness.{name}",
        )
        for name, value in {
            "periodSeconds": 0,
            "timeoutSeconds": 0,
            "failureThreshold": 0,
            "initialDelaySeconds": -1,
        }.items()
    ],
    Rule(
        "probe path without slash", {"behavior": {"healthCheck": {"path": "health"}}}, "spec.behavior.healthCheck.path"
    ),
    Rule(
        "first byte after the end",
        {"serving": {"timeoutSeconds": 10, "responseStartTimeoutSeconds": 20}},
        "spec.serving",
    ),
    Rule("first byte after the default end", {"serving": {"responseStartTimeoutSeconds": 301}}, "spec.serving"),
    Rule("no time for an answer", {"serving": {"timeoutSeconds": 0}}, "spec.serving.timeoutSeconds"),
    Rule("negative concurrency", {"serving": {"containerConcurrency": -1}}, "spec.serving.containerConcurrency"),
    Rule("traffic over a hundred", traffic({"percent": 60}, {"revisionName": "a-00001", "percent": 60}), _TRAFFIC),
    Rule("a share over a hundred", traffic({"percent": 101}), f"{_TRAFFIC}[0].percent"),
    Rule(
        "latest revision by name",
        traffic({"latestRevision": True, "revisionName": "a-00001", "percent": 100}),
        f"{_TRAFFIC}[0]",
    ),
    Rule("neither latest nor named", traffic({"latestRevision": False, "percent": 100}), f"{_TRAFFIC}[0]"),
    Rule("revision that is no name", traffic({"revisionName": "A_1", "percent": 100}), f"{_TRAFFIC}[0].revisionName"),
    Rule("traffic tag with a dot", traffic({"tag": "a.b", "percent": 100}), f"{_TRAFFIC}[0].tag"),
    Rule("traffic tag beginning with a digit", traffic({"tag": "1a", "percent": 100}), f"{_TRAFFIC}[0].tag"),
    Rule(
        "traffic tag twice",
        traffic({"tag": "a", "percent": 50}, {"tag": "a", "percent": 50}),
        f"{_TRAFFIC}[1].tag",
        cluster=_TRAFFIC,
    ),
    Rule(
        "traffic under a hundred",
        {"serving": {"traffic": [{"latestRevision": True, "percent": 90}]}},
        "spec.serving.traffic",
    ),
    Rule(
        "concurrency over Knative's limit",
        {"serving": {"containerConcurrency": 1001}},
        "spec.serving.containerConcurrency",
    ),
]
