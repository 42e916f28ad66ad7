"""Calls of tools: from the message to the agent to the result, the stream or the task that the host gets."""
