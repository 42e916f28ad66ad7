"""Asks the servers elsewhere that are agents themselves what they are: their agent cards."""
