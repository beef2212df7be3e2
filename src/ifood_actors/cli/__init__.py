"""The command line: one file a command group; each parses, calls one function, prints."""

from ifood_actors.cli.main import main

__all__ = ["main"]
