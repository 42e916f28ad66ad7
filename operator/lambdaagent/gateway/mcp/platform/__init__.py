"""The platform's own tools, by which a host finds agents and has them do something."""
