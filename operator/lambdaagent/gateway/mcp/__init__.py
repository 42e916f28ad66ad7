"""The endpoint of the Model Context Protocol: every skill that the caller may call is a tool."""
