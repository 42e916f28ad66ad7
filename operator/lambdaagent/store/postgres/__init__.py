"""Tasks in PostgreSQL, for several replicas. Imported only where a postgresql:// URL is configured."""
