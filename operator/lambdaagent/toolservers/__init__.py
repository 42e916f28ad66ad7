"""Asks the MCP servers that agents name as their tools' (`spec.tools`)."""
