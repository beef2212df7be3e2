"""The one pace of the whole fleet, kept in Postgres."""
