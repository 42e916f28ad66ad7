"""Events in the gateway: ingress, delivery to containers, and publishing."""
