"""
Postgres, RabbitMQ and a broker in memory, started privately: for the demo and for tests.

databases (ledgers from a template) · seeding (with what a simulator has) · services (where servers
come from) · inprocess (the broker)
"""

from ifood_actors.embedded.databases import database, ledger_template
from ifood_actors.embedded.management import Management
from ifood_actors.embedded.postgres import PrivatePostgres
from ifood_actors.embedded.rabbitmq import PrivateRabbit
from ifood_actors.embedded.seeding import seed

__all__ = [
    "Management",
    "PrivatePostgres",
    "PrivateRabbit",
    "database",
    "inprocess",
    "ledger_template",
    "seed",
    "services",
]
