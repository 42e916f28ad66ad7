"""Workflows: definitions and their runs, durable per step."""
