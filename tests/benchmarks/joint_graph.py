"""What the second opinion costs: the joint graph against the plain classifier graph, in one run.

.venv/bin/python -m tests.benchmarks.joint_graph

Both are exported as `glint train` exports them (weights do not matter for speed) and run in turn, A B A B, so
that the machine's moods fall on both. Writes its table into docs/performance.md.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from models.networks.padim import Embedding, Padim, projection_matrix
from models.networks.padim_config import PadimConfig
from models.networks.resnet import build_resnet50
from models.session import open_session
from tests.benchmarks.report import machine, table, write_section
from tests.blocks import to_blocks
from training.export import export_graphs

SIZE = (224, 224)
ROUNDS = 40
CASES = ((8, 100), (8, 200), (4, 100), (4, 200))
BATCHES = (1, 8)


def main() -> None:
    rows = []
    for stride, dims in CASES:
        with tempfile.TemporaryDirectory() as folder:
            plain, joint = sessions(Path(folder), PadimConfig(dims=dims, stride=stride))
            for batch in BATCHES:
                a, b = interleaved(plain, joint, batch)
                ratios = [y / x for x, y in zip(a, b, strict=True)]
                low, high = np.percentile(ratios, [25, 75])
                row = (
                    str(stride),
                    str(dims),
                    str(batch),
                    f"{1e3 * median(a) / batch:.1f}",
                    f"{1e3 * median(b) / batch:.1f}",
                    f"**{median(ratios):.2f}** ({low:.2f} to {high:.2f})",
                )
                rows.append(row)
                print(*row, flush=True)
    head = (
        "grid stride",
        "d",
        "batch",
        "classifier alone, ms a photo",
        "joint, ms a photo",
        "ratio (quartiles)",
    )
    text = (
        f"## The joint graph against the classifier alone\n\n{ROUNDS} runs of each in turn, 224 x 224 px, "
        f"fp32, {machine()}. Medians; the ratio is taken pair by pair. "
        "Written by `tests/benchmarks/joint_graph.py`.\n\n"
    )
    write_section("performance.md", "joint graph", text + table(head, rows))


def sessions(folder: Path, config: PadimConfig) -> tuple[Any, Any]:
    """Sessions of the classifier alone and of the joint graph."""
    torch.manual_seed(0)
    trunk, head = build_resnet50(2)
    cells = (SIZE[0] // config.stride) * (SIZE[1] // config.stride)
    whitening = to_blocks(torch.eye(config.dims).expand(cells, -1, -1))
    embedding = Embedding(projection_matrix(config), config.stride)
    padim = Padim(embedding, torch.zeros(cells, config.dims), whitening, config.smoothing)
    export_graphs(folder, trunk, head, padim, SIZE)
    names = ("classifier.onnx", "inspector.onnx")
    plain, joint = (open_session(folder / name, "cpu").session for name in names)
    return plain, joint


def interleaved(plain: Any, joint: Any, batch: int) -> tuple[list[float], list[float]]:
    """Seconds of each run, the two graphs in turn."""
    images = np.random.default_rng(0).integers(0, 256, (batch, *SIZE, 3)).astype(np.uint8)
    seconds: tuple[list[float], list[float]] = ([], [])
    for round_ in range(ROUNDS + 3):
        for taken, session in zip(seconds, (plain, joint), strict=True):
            started = time.perf_counter()
            session.run(None, {"image": images})
            if round_ >= 3:
                taken.append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    main()
