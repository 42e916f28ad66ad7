"""What agents and their callers say to each other beyond one protocol: which protocol a request speaks. Pure."""
