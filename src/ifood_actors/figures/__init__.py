"""Every figure once: its name, its SQL, its meaning, and its alert if it has one."""
