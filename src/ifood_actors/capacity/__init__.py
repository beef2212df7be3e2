"""Whether the runs of a week fit their windows."""
