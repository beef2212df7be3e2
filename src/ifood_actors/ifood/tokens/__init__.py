"""Tokens: stored, refreshed, authorized."""
