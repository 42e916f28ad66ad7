"""An agent in plain Python that asks back, and answers with text and a file.

A response of the type application/a2a+json is an update of the caller's task. The first one asks for input; the call
with the answer has the same task id, by which the agent finds what it was asked first.
"""

import base64
import json
import os
import signal
import sys
import uuid
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOST = 1000  # tasks that wait for their day
cities: OrderedDict[str, str] = OrderedDict()


def asks(question: str) -> dict[str, object]:
    message = {"messageId": str(uuid.uuid4()), "role": "ROLE_AGENT", "parts": [{"text": question}]}
    return {"statusUpdate": {"status": {"state": "TASK_STATE_INPUT_REQUIRED", "message": message}}}


def plans(task: str, city: str, day: str) -> dict[str, object]:
    plan = f"{day} in {city}: museum, lunch, river.\n"
    file = {"raw": base64.b64encode(plan.encode()).decode(), "filename": "plan.txt", "mediaType": "text/plain"}
    artifacts = [{"artifactId": "plan", "parts": [{"text": plan}, file]}]
    return {"task": {"id": task, "status": {"state": "TASK_STATE_COMPLETED"}, "artifacts": artifacts}}


class Agent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(b"ok", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        said = json.loads(body)["text"] if body.startswith(b"{") else body.decode("utf-8", "replace")
        task = self.headers.get("ce-a2ataskid", "")
        city = cities.pop(task, "")
        if city:
            update = plans(task, city, said)
        else:
            cities[task] = said
            while len(cities) > MOST:
                cities.popitem(last=False)
            update = asks(f"Which day do you want to spend in {said}?")
        self.answer(json.dumps(update).encode(), "application/a2a+json")

    def answer(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    # The first process of a container ignores SIGTERM unless it has a handler, and would then run until it is killed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    ThreadingHTTPServer((host, int(os.environ.get("PORT", "8080"))), Agent).serve_forever()
