"""What is served: the table of routes, and the OpenAPI document made from it."""
