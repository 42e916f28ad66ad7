"""Outbound requests to addresses that clients choose: push notifications and their signatures."""
