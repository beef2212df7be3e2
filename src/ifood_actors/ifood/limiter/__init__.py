"""The pace of requests that all processes share, kept in Postgres."""
