"""Requests to agents' containers and their responses, by the container's protocol."""
