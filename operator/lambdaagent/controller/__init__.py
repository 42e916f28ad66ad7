"""The operator process: kopf and watches in, reconciles out, one leader by Lease."""
