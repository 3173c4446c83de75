"""What an inspector is: its networks, the bundle on disk, the photo path, the decision rule."""

import os

# ONNX Runtime would keep a device id and a log of events in the home folder, and send them to its maker. It
# reads this when it is loaded, and every module that loads it lies below this package.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
