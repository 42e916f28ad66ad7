"""A client of MCP servers, of either era of the protocol, over any transport of HTTP requests."""
