"""An AG2 agent, served by its A2A server (1.0)."""

import os

from ag2 import Agent
from ag2.a2a import A2AServer
from model import Rules

agent = Agent("echo", prompt="Say it back.", config=Rules())

app = A2AServer(agent).build_jsonrpc(url=f"http://localhost:{os.environ['PORT']}/")
