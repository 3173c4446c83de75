"""Exit code 0 when the service in this container is ready to inspect every part, else 1 and the reasons."""

import http.client
import os
import sys


def main() -> int:
    """Ask /readyz on the loopback address, whatever proxy the environment names.

    On the management port, if there is one: it takes no key.
    """
    port = os.environ.get("GLINT_MANAGEMENT_PORT") or os.environ.get("GLINT_PORT", "8000")
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=4)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"/readyz does not answer: {error!r}\n")
        return 1
    finally:
        connection.close()
    sys.stdout.write(body + "\n")
    return 0 if response.status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
