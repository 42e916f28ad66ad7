"""An agent on a laptop, behind a firewall: it finds text in the files of a folder, and needs no inbound port.

    pip install aiohttp
    GATEWAY=http://127.0.0.1:8080 python agent.py ~/notes

It registers as AGENT (laptop), and gets its messages on a WebSocket. A request {"query": "..."} is answered with the
names of the files that contain it. Each message is acknowledged once its answer is accepted, so one that was given to
it while it failed comes again. It connects again when the gateway restarts. TOKEN is a credential for the gateway.
"""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

import aiohttp

GATEWAY = os.environ.get("GATEWAY", "http://127.0.0.1:8080")
AGENT = os.environ.get("AGENT", "laptop")
HEADERS = {"Authorization": f"Bearer {token}"} if (token := os.environ.get("TOKEN")) else {}
MESSAGE = "io.knative.lambda.a2a.message"
ACKNOWLEDGED, ACCEPTED = f"{MESSAGE}.acknowledged", f"{MESSAGE}.accepted"
LARGEST, MOST = 1_000_000, 50


def search(folder: Path, text: str) -> list[str]:
    files = (each for each in sorted(folder.rglob("*")) if each.is_file() and each.stat().st_size <= LARGEST)
    found = (each for each in files if text.lower() in each.read_text(errors="replace").lower())
    return [str(each.relative_to(folder)) for _, each in zip(range(MOST), found, strict=False)]


def event(kind: str, id_: str, **more: object) -> dict[str, object]:
    return {"specversion": "1.0", "id": id_, "source": f"/agents/{AGENT}", "type": kind, **more}


async def take(socket: aiohttp.ClientWebSocketResponse, message: dict, folder: Path) -> str | None:
    """Answers a request, and returns the id under which the answer will be accepted; None: there is none."""
    content = message["content"]
    if content["type"] != "query":
        print(f"{message['from']} says {json.dumps(content['data'])}", flush=True)
        return None
    query = str(content["data"].get("query", ""))
    files = await asyncio.to_thread(search, folder, query)
    print(f"{message['from']} looks for {query!r}: {len(files)} files", flush=True)
    answer = {
        "message_id": f"{message['message_id']}.answer",
        "from": AGENT,
        "to": message["from"],
        "content": {"type": "response", "data": {"files": files}},
        "metadata": {"correlation_id": message["message_id"]},
    }
    await socket.send_json(event(MESSAGE, answer["message_id"], data=answer))
    return answer["message_id"]


async def serve(session: aiohttp.ClientSession, folder: Path) -> None:
    entry = {"agent_id": AGENT, "description": f"Finds text in {folder.name}.", "capabilities": ["search"]}
    async with session.post(f"{GATEWAY}/a2a/register", json=entry) as response:
        if response.status >= 400:
            sys.exit(f"not registered: {(await response.json())['detail']}")
    waiting: dict[str, str] = {}  # messages to acknowledge, by the id of their answer
    url = f"{GATEWAY}/a2a/ws?agent={AGENT}".replace("http", "ws", 1)
    async with session.ws_connect(url, protocols=["cloudevents.json"], heartbeat=30) as socket:
        print(f"{AGENT} is connected", flush=True)
        async for received in socket:
            found = received.json()
            if found["type"] == MESSAGE:
                answer = await take(socket, found["data"], folder)
                if answer is None:
                    await socket.send_json(event(ACKNOWLEDGED, "ack", subject=found["id"]))
                else:
                    waiting[answer] = found["id"]
            elif found["type"] == ACCEPTED and (done := waiting.pop(found.get("correlationid", ""), None)):
                await socket.send_json(event(ACKNOWLEDGED, "ack", subject=done))
            elif found["type"] == f"{MESSAGE}.refused":
                print(f"refused: {found['data']['detail']}", file=sys.stderr, flush=True)


async def main(folder: Path) -> None:
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        while True:
            try:
                await serve(session, folder)
            except aiohttp.ClientError as error:
                print(f"{GATEWAY} cannot be reached: {error}", file=sys.stderr, flush=True)
            await asyncio.sleep(1)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".").expanduser()))
