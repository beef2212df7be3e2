"""What commands do, apart from reading their words: imported by each when it is called."""

__all__ = [
    "accounts",
    "apps",
    "authorize",
    "capacity",
    "config_page",
    "db",
    "doctor",
    "doctor_settings",
    "exports",
    "jobs",
    "plan",
    "processes",
    "reading",
    "secrets",
    "status",
    "tokens",
    "web",
]
