"""The HTTP edge: discovery, A2A, direct skill calls and event ingress for every agent that the directory knows."""
