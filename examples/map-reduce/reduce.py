"""Has ten agents count the words of a text, and adds up what they found. It needs Python alone, and no SDK.

    GATEWAY=http://127.0.0.1:8080 python reduce.py < book.txt

The text is cut into ten parts. Each is a job, which the gateway gives to one of the agents with the skill count-words,
and tries again if the agent fails. An id of each job is derived from RUN (a CI system's number of the run, or a new
one): if this program is started again with the same RUN, it goes on with the jobs that are there. TOKEN is a credential
for the gateway.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter

GATEWAY = os.environ.get("GATEWAY", "http://127.0.0.1:8080")
TOKEN = os.environ.get("TOKEN", "")
RUN = os.environ.get("RUN", uuid.uuid4().hex)
PARTS = 10
SECONDS = float(os.environ.get("SECONDS", "300"))


def call(path, body=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {TOKEN}"} if TOKEN else {})
    data = json.dumps(body).encode() if body is not None else None
    try:
        with urllib.request.urlopen(urllib.request.Request(GATEWAY + path, data, headers), timeout=60) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        sys.exit(f"{path}: {json.load(error)['detail']}")


def start(number, text):
    job = {"job_id": f"count-{RUN}-{number}", "task_type": "count-words", "input_data": {"text": text}}
    return call("/a2a/jobs", job | {"strategy": "round-robin", "max_retries": 3, "timeout_seconds": 60})["job_id"]


def result(job_id, until):
    while time.monotonic() < until:
        job = call(f"/a2a/jobs/{job_id}")
        if job["status"] == "completed":
            return job["output_data"]
        if job["status"] in ("failed", "cancelled"):
            sys.exit(f"{job_id} is {job['status']}: {job['error_message']}")
        time.sleep(0.2)
    sys.exit(f"{job_id} has not ended after {SECONDS:.0f} s")


def main():
    words = sys.stdin.read().split()
    size = max(1, -(-len(words) // PARTS))
    jobs = [start(number, " ".join(words[number * size : (number + 1) * size])) for number in range(PARTS)]
    until, total, agents = time.monotonic() + SECONDS, Counter(), set()
    for job_id in jobs:
        found = result(job_id, until)
        total.update(found["words"])
        agents.add(found["agent"])
    for word, number in sorted(total.items(), key=lambda each: (-each[1], each[0]))[:10]:
        print(f"{number:6} {word}")
    print(f"{sum(total.values())} words in {len(jobs)} jobs, counted by {len(agents)} agents", file=sys.stderr)


if __name__ == "__main__":
    main()
