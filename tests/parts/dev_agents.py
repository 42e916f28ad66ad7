"""Agents for `lambdaagent dev`: their files, calls of them, and what they print."""

import re
import sys
from pathlib import Path

from tests.parts.dev import Dev

AGENT = Path(__file__).parents[1] / "integration" / "dev" / "agent.py"
YAML = """\
apiVersion: lambda.knative.io/v1alpha1
kind: LambdaAgent
metadata:
  name: {name}
  annotations:
    dev.lambda.knative.io/command: {python} {script} {arguments}
spec:
  image: {{repository: r}}
  env: [{{name: ANSWER, value: "{answer}"}}]
  eventing:
    subscriptions: [{{eventType: test.{name}}}, {{eventType: test.refused}}]
    delivery: {{backoffDelay: PT0.1S}}
  a2a: {{enabled: true, skills: [{{id: say, name: Say, invoke: {{timeoutSeconds: 1}}}}]}}
"""


def write(folder: Path, name: str, *, answer: str = "", arguments: str = "", more: str = "") -> Path:
    """Writes the LambdaAgent of an agent that puts `answer` before the text of a call; returns its path."""
    path = folder / f"{name}.yaml"
    path.write_text(
        YAML.format(name=name, python=sys.executable, script=AGENT, answer=answer, arguments=arguments) + more
    )
    return path


def say(running: Dev, name: str, text: str) -> tuple[int, str]:
    """Calls the skill `say` and returns the status and the text."""
    answer = running.post(f"/agents/default/{name}/api/a2a/skills/say", content=text)
    return answer.status_code, answer.text


def pid(running: Dev, name: str, *, word: str = "pid") -> int:
    """Returns the last process id that the agent has printed after this word."""
    pids = [int(line.split()[-1]) for line in running.lines if re.match(rf"\[default/{name}\] {word} \d+", line)]
    return pids[-1]
