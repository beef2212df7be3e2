"""What the ledger holds, as people and processes ask for it. Only reads."""
