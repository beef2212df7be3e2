"""
The whole pipeline on embedded parts: a Monday in a minute.

scale (how it is squeezed) · environment (what it runs on) · screen · report (what it amounts to)
"""

from ifood_actors.demo.pipeline import Options, run_demo

__all__ = ["Options", "run_demo"]
