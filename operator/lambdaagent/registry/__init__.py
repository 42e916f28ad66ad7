"""The registry of agents elsewhere: who registered, who is alive, what their cards say."""
