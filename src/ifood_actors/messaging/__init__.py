"""
What travels between scheduler and workers, and how.

topology (the delay ladder as data) · broker (Dramatiq on that ladder) · consumer (refuses what no
order can be) · addresses (broker URLs) · orders (message bodies and queue names)
"""
