"""Contexts that agents share, and sessions in which they work together."""
