"""Adapters to the Kubernetes API: apply, read, watch, leases and Events for all kinds, over `kubernetes.aio`.

The client library takes 0.3 s to import, so it is imported only when a connection is opened.
"""
