"""The event paths of the gateway: ingress, delivery to containers, and publishing."""
