"""Which run is due, when each of its jobs starts, and whether the day fits."""
