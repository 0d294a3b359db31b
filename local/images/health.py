"""The health check of the images: ends with 0 where the service in this container says that it is well, else 1."""

import http.client
import os
import sys

ANSWERS_WITHIN = 5  # seconds


def main() -> int:
    """Asks /health at HTTP_PORT, and prints the answer for `docker inspect`."""
    connection = http.client.HTTPConnection("::1", int(os.environ["HTTP_PORT"]), timeout=ANSWERS_WITHIN)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        print(answer.read().decode())
    except OSError as error:
        print(error)
        return 1
    return int(answer.status != http.client.OK)


if __name__ == "__main__":
    sys.exit(main())
