"""JSON Schema 2020-12 of others: which schemas are accepted, and values checked against them at a bounded cost."""
