"""The endpoints under `/a2a`, which serve agents of all kinds together."""
