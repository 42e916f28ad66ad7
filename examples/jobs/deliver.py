"""Sends a webhook as GitHub would: `python3 deliver.py URL SECRET`; prints the gateway's answer."""

import hashlib
import hmac
import json
import sys
import urllib.request

url, secret = sys.argv[1:]
issue = {"number": 7, "user": {"login": "ada"}}
body = json.dumps({"action": "opened", "issue": issue}).encode()
headers = {
    "Content-Type": "application/json",
    "X-GitHub-Event": "issues",
    "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
}
with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
    print(answer.read().decode())
