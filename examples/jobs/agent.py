"""Answers POST /report and POST /welcome with JSON: the input of a job comes in, its result goes out."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def report(job: dict[str, Any]) -> dict[str, Any]:
    return {"title": f"Report on {job.get('of', 'everything')}", "lines": 3}


def welcome(job: dict[str, Any]) -> dict[str, Any]:
    issue = job["payload"]["issue"]
    return {"comment": f"Thank you for issue {issue['number']}, {issue['user']['login']}!"}


ANSWERS = {"/report": report, "/welcome": welcome}


class Agent(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = ANSWERS.get(self.path)
        try:
            status, found = (200, answer(json.loads(body))) if answer else (404, {"error": "no such skill"})
        except (KeyError, TypeError, ValueError) as error:
            status, found = 400, {"error": f"the input lacks {error}"}
        data = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Agent).serve_forever()
