"""``python -m analytics_service.redrive``: tries the dead letters again, after a fix."""

from analytics_service.ingest.redrive import main
from shop.edges.process import run

if __name__ == "__main__":
    run(main)
