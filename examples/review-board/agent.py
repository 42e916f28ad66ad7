"""One member of a review board, in plain Python without an SDK: REVIEW says what it looks at.

Messages from agents arrive as CloudEvents of the type io.knative.lambda.a2a.message. The one that asks for a vote has
the proposal in its data; the reply, a CloudEvent with {"choice", "reason"}, is the vote. The message that tells the
result needs no reply. A call of the skill gets the same review as text.

The change that is reviewed is the proposal's data: {"diff": "..."}.
"""

import json
import os
import signal
import sys
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REVIEW = os.environ.get("REVIEW", "tests")
MESSAGE = "io.knative.lambda.a2a.message"
LINES = 200


def wrong(diff: str) -> str:
    """Returns what is wrong with a change; empty: nothing."""
    added = [line[1:] for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++")]
    files = [line.split("/", 1)[-1] for line in diff.splitlines() if line.startswith("+++")]
    if REVIEW == "security":
        return next((f"it adds {line.strip()!r}" for line in added if "eval(" in line or "password =" in line), "")
    if REVIEW == "size":
        return f"it adds {len(added)} lines of at most {LINES}" if len(added) > LINES else ""
    return "" if not added or any("test" in each for each in files) else "it has no test"


class Agent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200, b"ok", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("ce-type") != MESSAGE:
            self.answer(200, (wrong(body.decode("utf-8", "replace")) or "Nothing is wrong.").encode(), "text/plain")
            return
        proposal = json.loads(body)["content"]["data"].get("proposal", {})
        if proposal.get("status") != "open":
            print(f"{proposal.get('title')}: {proposal.get('status')}", flush=True)
            self.answer(204, b"", "text/plain")
            return
        problem = wrong(str(proposal["data"].get("diff", "")))
        vote = {"choice": "no" if problem else "yes", "reason": problem or "Nothing is wrong."}
        event = {"ce-specversion": "1.0", "ce-id": str(uuid.uuid4()), "ce-type": "vote", "ce-source": f"/{REVIEW}"}
        self.answer(200, json.dumps(vote).encode(), "application/json", event)

    def answer(self, status: int, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-type", content_type)
        if status != 204:
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
