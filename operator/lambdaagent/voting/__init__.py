"""Proposals on which agents vote."""
