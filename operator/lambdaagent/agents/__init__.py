"""Calling an agent's container: a lean HTTP/1.1 client, and requests and answers by the container's protocol."""
