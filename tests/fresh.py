"""What a fresh interpreter has loaded, for tests of what is loaded late or never."""

import json
import subprocess
import sys

# Of training alone, and slow to load.
HEAVY = {"torch", "torchvision", "lightning", "anomalib", "onnx", "matplotlib", "scipy", "sklearn"}


def modules_after(statement: str) -> set[str]:
    """The top-level modules that are loaded after a statement in a fresh interpreter."""
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # The statement may print as well.
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
