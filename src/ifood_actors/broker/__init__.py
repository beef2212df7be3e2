"""
What travels between scheduler and workers, and how.

topology (the delay ladder as data) · declaring (puts it on RabbitMQ) · broker (Dramatiq on it) ·
publishing (threads with connections) · queues (how full they are) ·
consumer (refuses what harms a worker) · addresses (broker URLs) ·
retries (pure: what to do with a failed job) · middleware (around each delivery) ·
command (Dramatiq's command, with our log lines)
"""
