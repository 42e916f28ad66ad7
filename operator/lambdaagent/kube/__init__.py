"""Adapters to the Kubernetes API: generic apply, reading, watching, leases and events over `kubernetes.aio`.

The client library is imported only when a connection is opened (0.3 s): importing this package stays cheap.
"""
