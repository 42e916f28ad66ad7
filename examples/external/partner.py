"""An A2A 1.0 server that runs elsewhere, with no SDK: it quotes prices, for callers that know its key.

It stands for any server of another team or vendor. `python3 partner.py [PORT]` listens on 127.0.0.1:9000 by default.
"""

import json
import os
import sys
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = os.environ.get("PARTNER_KEY", "demo-key")
PRICES = {"apple": 2, "pear": 3}


def card(base: str) -> dict:
    return {
        "name": "Quotes",
        "description": "Quotes prices of fruit.",
        "version": "1.0",
        "capabilities": {"streaming": False},
        "supportedInterfaces": [{"url": f"{base}/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "quote", "name": "Quote", "description": "Quotes the price of a fruit.", "tags": ["price"]}],
    }


def quote(message: dict) -> dict:
    fruit = " ".join(part.get("text", "") for part in message["parts"]).strip()
    said = f"{fruit}: {PRICES[fruit]} a piece" if fruit in PRICES else f"no price of {fruit}"
    return {"message": {"messageId": str(uuid.uuid4()), "role": "ROLE_AGENT", "parts": [{"text": said}]}}


class Partner(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/.well-known/agent-card.json":
            self.answer(404, {"error": "not found"})
            return
        if self.headers.get("If-None-Match") == '"1"':
            self.send_response(304)
            self.end_headers()
            return
        self.answer(200, card(f"http://{self.headers['Host']}"))

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("X-Api-Key") != KEY:
            self.answer(401, {"error": "X-Api-Key is missing or wrong"})
            return
        answer = {"jsonrpc": "2.0", "id": request["id"]}
        if request["method"] == "SendMessage":
            self.answer(200, answer | {"result": quote(request["params"]["message"])})
        else:
            self.answer(200, answer | {"error": {"code": -32601, "message": "only SendMessage is here"}})

    def answer(self, status: int, value: dict) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    ThreadingHTTPServer(("127.0.0.1", port), Partner).serve_forever()
