"""The HTTP edge: discovery, A2A, direct skill calls and events for every agent in the directory."""
