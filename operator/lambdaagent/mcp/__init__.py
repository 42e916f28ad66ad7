"""The Model Context Protocol: its envelopes, tools and results. Pure."""
