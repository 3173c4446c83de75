"""The process of the service under measurement: it ends when the one that started it does.

Its settings are the first line of stdin; it stops when stdin ends, however the other process ended.
"""

import json
import os
import signal
import sys
import threading

from models.errors import GlintError
from service.server import serve
from service.settings import Settings


def main() -> None:
    """Serve until stdin ends."""
    settings = Settings(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_stop_with_stdin, daemon=True).start()
    try:
        serve(settings)
    except GlintError as error:
        sys.exit(str(error))


def _stop_with_stdin() -> None:
    while os.read(0, 4096):
        continue
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
