"""The demo behind `make demo`: render parts, train, serve, post photos, print verdicts, leave overlays.

It uses nothing but what a user has: the `glint` command and HTTP. With SERVE=0 it stops after printing.
"""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

GLINT = Path(sys.executable).with_name("glint")
HOME = Path("demo")
PHOTOS, BUNDLES, OVERLAYS = HOME / "photos", HOME / "bundles", HOME / "overlays"
PHOTOS_OF_EACH_CLASS = 6
READY_SECONDS = 60.0
MAX_FALSE_REJECTS = 0.15

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    console.rule("1. Render demo parts")
    shutil.rmtree(HOME, ignore_errors=True)
    glint("render", PHOTOS)
    console.rule("2. Train")
    # Few good photos to calibrate on, one of them odd: a limit for 1 % would lie above every faint scratch.
    glint(
        "train", PHOTOS, "--part", "bracket", "--bundles", BUNDLES, "--max-false-rejects", MAX_FALSE_REJECTS
    )
    bundle = max(path.parent for path in BUNDLES.glob("bracket/*/manifest.json"))
    console.rule("3. Serve")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [GLINT, "serve", "--bundles", BUNDLES, "--archive", HOME / "archive", "--port", str(port)]
    server = subprocess.Popen([str(word) for word in command])
    try:
        wait_until_ready(address, server)
        console.rule("4. Post photos that the model has never seen")
        agreed = post_photos(address, held_out(bundle))
        console.print(
            f"\nReport:   {bundle / 'report.html'}\nOverlays: {OVERLAYS}/ (all in {HOME / 'overlays.jpg'})"
        )
        if os.environ.get("SERVE", "1") == "0":
            return 0 if agreed else 1
        example = next(PHOTOS.glob("scratched/*"))
        console.print(f"\nThe service is up at {address}/docs until you press Ctrl+C. Try:")
        console.print(f"  curl -F image=@{example} -F part=bracket {address}/inspect")
        server.wait()
    except KeyboardInterrupt:
        console.print("\nStopping.")
    finally:
        stop(server)
    return 0


def glint(*words: object) -> None:
    """Run `glint`, showing the command as a user would type it."""
    command = [str(GLINT), *(str(word) for word in words)]
    console.print(f"$ glint {' '.join(command[1:])}", style="bold")
    subprocess.run(command, check=True)


def held_out(bundle: Path) -> list[tuple[str, Path]]:
    """A few test photos of each class, as (class, path), from the split that the bundle records."""
    records = json.loads((bundle / "splits.json").read_text())
    chosen = []
    for label in ("clean", "scratched"):
        tested = [r["file"] for r in records if r["split"] == "test" and r["label"] == label]
        chosen += [(label, PHOTOS / name) for name in tested[:PHOTOS_OF_EACH_CLASS]]
    return chosen


def post_photos(address: str, photos: list[tuple[str, Path]]) -> bool:
    """Post each photo, print the verdicts, save the overlays; true if every photo was judged."""
    OVERLAYS.mkdir(parents=True)
    table = Table("photo", "truth", "verdict", "score", "anomaly", "regions", "ms")
    pictures = []
    with httpx.Client(base_url=address, timeout=30.0) as client:
        for label, path in photos:
            started = time.perf_counter()
            response = client.post("/inspect", files={"image": path.read_bytes()}, data={"part": "bracket"})
            elapsed = 1e3 * (time.perf_counter() - started)
            answer = response.raise_for_status().json()
            overlay = base64.b64decode(answer["heatmap"]["data"])
            (OVERLAYS / f"{label}_{path.stem}.jpg").write_bytes(overlay)
            pictures.append(cv2.imdecode(np.frombuffer(overlay, np.uint8), cv2.IMREAD_COLOR))
            table.add_row(
                path.name,
                label,
                answer["verdict"],
                f"{answer['score']:.3f}",
                f"{answer['anomaly']['score']:.1f} / {answer['anomaly']['limit']:.1f}",
                str(len(answer["regions"])),
                f"{elapsed:.0f}",
            )
    console.print(table)
    rows = [
        np.hstack(pictures[i : i + PHOTOS_OF_EACH_CLASS])
        for i in range(0, len(pictures), PHOTOS_OF_EACH_CLASS)
    ]
    cv2.imwrite(str(HOME / "overlays.jpg"), np.vstack(rows))
    return len(pictures) == len(photos) > 0


def free_port() -> int:
    """8000 if nobody listens there, else any free port."""
    for port in (8000, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit("no free port on 127.0.0.1")


def wait_until_ready(address: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until `/readyz` says 200; fail if the server ends or takes too long."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with exit code {server.returncode}")
        try:
            if httpx.get(f"{address}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"the server was not ready within {READY_SECONDS:.0f} s")


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server as a deployment would: SIGTERM, and wait while it drains."""
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


if __name__ == "__main__":
    sys.exit(main())
