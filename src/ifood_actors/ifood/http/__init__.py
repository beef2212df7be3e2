"""Requests to iFood and what their answers mean."""
