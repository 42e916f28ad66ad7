"""Jobs: tasks that are distributed to agents, with retries, until they end."""
