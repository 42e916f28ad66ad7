"""The A2A endpoint of an agent: JSON-RPC and HTTP+JSON, both versions, over one set of operations."""
