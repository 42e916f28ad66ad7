"""The agent that the A2A conformance kit calls: the id of a message selects the response.

The kit's scenarios (a2aproject/a2a-tck, `scenarios/`) begin ids with these prefixes and end them with a session's own
letters. It is a plain container as any other: a CloudEvent comes in, A2A updates go out as they come.
"""

import base64
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DELAY = 2.0  # the kit's streaming time-out
FILE = {"raw": base64.b64encode(b"tck").decode(), "mediaType": "text/plain", "filename": "output.txt"}
LINK = {"url": "https://example.com/output.txt", "mediaType": "text/plain", "filename": "output.txt"}


def state(name, text=""):
    status = {"state": f"TASK_STATE_{name}"}
    if text:
        status["message"] = {
            "messageId": f"said-{time.monotonic_ns()}",
            "role": "ROLE_AGENT",
            "parts": [{"text": text}],
        }
    return {"statusUpdate": {"status": status}}


def artifact(part, **how):
    return {"artifactUpdate": {"artifact": {"artifactId": "output", "parts": [part]}, **how}}


def stream(part):
    return [state("WORKING"), artifact(part), state("COMPLETED")]


# The first prefix that fits counts, so longer ones stand before shorter ones. A number is seconds of rest.
SCENARIOS = {
    "tck-stream-artifact-chunked": lambda: [
        state("WORKING"),
        artifact({"text": "chunk-1 "}, lastChunk=False),
        artifact({"text": "chunk-2"}, append=True, lastChunk=True),
        state("COMPLETED"),
    ],
    "tck-stream-artifact-text": lambda: stream({"text": "Streamed text content"}),
    "tck-stream-artifact-file": lambda: stream(FILE),
    "tck-stream-ordering": lambda: stream({"text": "Ordered output"}),
    "tck-stream-001": lambda: stream({"text": "Stream hello from TCK"}),
    "tck-stream-002": lambda: [state("COMPLETED")],
    "tck-stream-003": lambda: stream({"text": "Stream task lifecycle"}),
    "test-resubscribe-message-id": lambda: [state("WORKING"), 2 * DELAY, state("COMPLETED")],
    "tck-delayed-complete": lambda: [state("WORKING"), DELAY, state("COMPLETED", "Done after delay")],
    "tck-artifact-file-url": lambda: [artifact(LINK), state("COMPLETED")],
    "tck-artifact-file": lambda: [artifact(FILE), state("COMPLETED")],
    "tck-artifact-text": lambda: [artifact({"text": "Generated text content"}), state("COMPLETED")],
    "tck-artifact-data": lambda: [artifact({"data": {"key": "value", "count": 42}}), state("COMPLETED")],
    "tck-message-response": lambda: [
        {"message": {"messageId": "direct", "role": "ROLE_AGENT", "parts": [{"text": "Direct message response"}]}}
    ],
    "tck-complete-task": lambda: [state("COMPLETED", "Hello from TCK")],
    "tck-input-required": lambda: [state("INPUT_REQUIRED", "What else?")],
    "tck-auth-required": lambda: [state("AUTH_REQUIRED", "Please authorize this.")],
    "tck-reject-task": lambda: [state("REJECTED", "rejected")],
}


def updates(message_id):
    for prefix, scenario in SCENARIOS.items():
        if message_id.startswith(prefix):
            return scenario()
    return [state("COMPLETED", f"No scenario has the id {message_id}")]


class Agent(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        message_id = asked["message"]["messageId"] if "message" in asked else ""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for update in updates(message_id):
            if isinstance(update, float):
                time.sleep(update)
                continue
            self.wfile.write(b"data: %b\n\n" % json.dumps(update).encode())
            self.wfile.flush()

    def log_message(self, format, *args):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Agent).serve_forever()
