"""Requests to an agent's container and its responses, by the container's protocol."""
