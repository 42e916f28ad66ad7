"""Finds an agent by a question, agrees with it how to talk, and asks it. It needs Python alone, and no SDK.

    GATEWAY=http://127.0.0.1:8080 python find.py "Say hello"

It asks the gateway's search interface (ARD), follows the gateway's referrals to other registries, and calls the best
agent of the first registry that has one. TOKEN is a credential for the gateway; other registries do not get it.
"""

import json
import os
import sys
import urllib.request

GATEWAY = os.environ.get("GATEWAY", "http://127.0.0.1:8080")
TOKEN = os.environ.get("TOKEN", "")
MOST_REGISTRIES = 10


def send(url, body=None, **headers):
    if TOKEN and url.startswith(f"{GATEWAY}/"):
        headers["Authorization"] = f"Bearer {TOKEN}"
    headers["Content-Type"] = "application/json"
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as response:
        return json.load(response)


def call(url, method, params):
    answer = send(url, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    if "error" in answer:
        sys.exit(f"{method}: {answer['error']['message']}")
    return answer["result"]


def find(question):
    """Returns the best agent. Each registry is asked once, so registries that refer to one another do no harm."""
    asked, left = set(), [f"{GATEWAY}/ard/search"]
    while left and len(asked) < MOST_REGISTRIES:
        url = left.pop(0)
        if url in asked:
            continue
        asked.add(url)
        found = send(url, {"query": {"text": question}, "federation": "referrals"})
        for result in found["results"]:
            print(f"{result['score']:3} {result['identifier']}: {result['metadata']['why']}")
        if found["results"]:
            return found["results"][0]
        left += [referral["url"] for referral in found.get("referrals", [])]
    sys.exit(f"none of {len(asked)} registries has an agent for this")


question = " ".join(sys.argv[1:]) or "Say hello"
card = send(find(question)["url"], **{"A2A-Version": "1.0"})
endpoint = next(each["url"] for each in card["supportedInterfaces"] if each["protocolBinding"] == "JSONRPC")
proposal = {"protocol": "a2a/1.0", "binding": "JSONRPC", "inputModes": ["text/plain"], "outputModes": ["text/plain"]}
terms = call(endpoint, "agent.negotiate", {"proposal": proposal})
for each in terms["rejected"]:
    print(f"{each['field']}: {each['reason']}")
if terms["agreed"] is None:
    sys.exit(f"{card['name']} and this program have no way to talk in common")
message = {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": question}]}
answer = call(terms["agreed"]["url"], "SendMessage", {"message": message})
parts = answer["message"]["parts"] if "message" in answer else answer["task"]["artifacts"][0]["parts"]
print(card["name"], "says", parts[0].get("text", parts[0]))
