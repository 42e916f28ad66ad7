"""Direct skill calls: `POST .../skills/{id}` with the container's own request and response bodies."""
