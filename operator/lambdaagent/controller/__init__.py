"""The operator process: kopf and watches start reconciles, and a Lease elects the one replica that works."""
