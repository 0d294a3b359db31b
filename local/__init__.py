"""The shop's stack without Docker: the real Kafka and MariaDB on this machine, as an ordinary user."""
