"""A lean HTTP/1.1 client for calls to containers: connections, pools, requests, content codings."""
