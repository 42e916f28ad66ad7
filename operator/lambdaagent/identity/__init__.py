"""Who sends a request: verifies credentials and asks the cluster about identities and rights."""
