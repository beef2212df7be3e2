"""
What travels between scheduler and workers, and how.

topology (the delay ladder as data) · declaring (puts it on RabbitMQ) · broker (Dramatiq on it) ·
publishers (threads with connections) · queues (how full they are) ·
consumer (refuses what no order can be) · addresses (broker URLs) · orders (bodies, queue names) ·
retries (pure: what to do with a failed job) · middleware (around each delivery) ·
command (Dramatiq's command, with our log lines)
"""
