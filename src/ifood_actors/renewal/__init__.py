"""Which tokens are refreshed before they are needed."""
