"""Access control at the gateway: who sends a request, and whether it is allowed."""
