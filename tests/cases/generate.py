"""Writes the large golden cases: `python -m tests.cases.generate`."""

from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent / "agents"


def _agent(name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "lambda.knative.io/v1alpha1",
        "kind": "LambdaAgent",
        "metadata": {"name": name, "namespace": "ai", **metadata},
        "spec": {"image": {"repository": f"ghcr.io/example/{name[:20]}", "tag": "v1.2.0", "port": 8080}, **spec},
    }


def cases() -> dict[str, dict[str, Any]]:
    intents = _agent(
        "toolbox",
        {
            "eventing": {
                "enabled": True,
                "eventSource": "/agent-tools/toolbox",
                "intents": [f"io.example.k8s.tool-{number:03d}" for number in range(217)],
                "subscriptions": [{"eventType": f"io.example.k8s.request-{number:02d}"} for number in range(12)],
            }
        },
    )
    longest = "a" + "b" * 62
    limits = _agent(
        longest,
        {
            "eventing": {
                "enabled": True,
                "subscriptions": [
                    {
                        "eventType": "io.example.a-very-long-event-type.that-goes-on-and-on.until-it-is-cut",
                        "source": "/one",
                    },
                    {
                        "eventType": "io.example.a-very-long-event-type.that-goes-on-and-on.until-it-is-cut",
                        "source": "/two",
                    },
                ],
                "broker": {"dedicated": True},
            },
            "observability": {"metrics": {}},
            "a2a": {"enabled": True, "skills": [{"id": "c" * 63, "name": "At the limit"}]},
        },
    )
    return {"many-intents": intents, "names-at-the-limit": limits}


def main() -> None:
    for name, document in cases().items():
        (HERE / f"{name}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


if __name__ == "__main__":
    main()
