"""Discovery: agent cards, the API catalog and the list of agents."""
