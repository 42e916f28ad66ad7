"""Direct skill calls: `POST .../skills/{id}` with the request and response bodies of the container."""
