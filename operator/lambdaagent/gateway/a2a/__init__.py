"""The A2A endpoint of an agent: one set of operations for JSON-RPC and HTTP+JSON, and for both versions."""
