"""How a job runs, from its message to its settled status."""
