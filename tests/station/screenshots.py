"""Takes the pictures of docs/station.md, docs/review.md and docs/models.md from services of its own.

    python -m tests.station.screenshots BUNDLES PHOTOS

BUNDLES is the folder of bundles of one part, PHOTOS holds `good/` and a folder of defects; `make demo` leaves
both under demo/. The picture of the models page needs two bundles, so two trainings.
"""

import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from service.access.commands import add_key
from tests.benchmarks.report import DOCS
from tests.service.live import Live, serving
from tests.station.history import add_history
from tests.station.posting import post

DESKTOP = {"width": 1920, "height": 1080}
TABLET = {"width": 1280, "height": 800}
WHOLE_PAGE = {"width": 1280, "height": 2390}
PLANT = {"GLINT_SHIFTS": "06:00,14:00,22:00", "GLINT_TIME_ZONE": "Europe/Berlin"}
_PHOTOS = 60
_DEFECTS = 0.12
_SEED = 3


def post_some(live: Live, photos: Path, count: int, seed: int) -> list[tuple[str, str]]:
    """Post photos of a line in an order that the seed gives; return id and verdict of each."""
    chance = random.Random(seed)
    good = sorted((photos / "good").iterdir())
    bad = sorted(f for d in photos.iterdir() if d.name not in ("good", "masks") for f in d.iterdir())
    answers = []
    for number in range(count):
        file = chance.choice(bad if chance.random() < _DEFECTS else good)
        serial = f"BR-{20411 + 1000 * seed + number}"
        answer = post(live, file.read_bytes(), serial, chance.choice(["cam1", "cam2", "cam3"]))
        answers.append((str(answer["id"]), str(answer["verdict"])))
    return answers


def take(
    browser: Browser,
    live: Live,
    path: str,
    size: dict[str, int],
    name: str,
    act: str = "",
    quality: int = 72,
) -> None:
    """Write docs/station/<name>.jpg."""
    page = browser.new_page(viewport=size, base_url=f"http://127.0.0.1:{live.port}")
    page.goto(path)
    page.wait_for_timeout(2500)
    if act:
        page.evaluate(act)
        page.wait_for_timeout(700)
    page.screenshot(path=DOCS / "station" / f"{name}.jpg", type="jpeg", quality=quality)
    page.close()


def judge_some(live: Live, answers: list[tuple[str, str]]) -> None:
    """Accept every second verdict of those that were given."""
    connection = live.connect()
    order = json.dumps({"decision": "accept", "operator": "Ada"})
    for found, verdict in answers[::2]:
        if verdict != "invalid":
            path = f"/inspections/{found}/judgements"
            connection.request("POST", path, order, {"content-type": "application/json"})
            connection.getresponse().read()
    connection.close()


def take_models(browser: Browser, bundles: Path, photos: Path) -> None:
    """The models page: an older bundle was put in place, and the newest judges in its shadow."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(
            bundles, archive=Path(folder) / "archive", environment={"GLINT_STATE": f"{folder}/state"}
        ) as live,
    ):
        [part] = json.loads(live.get("/parts")[1])
        path = f"/parts/{part['part']}"
        newest, older = [each["version"] for each in json.loads(live.get(f"{path}/versions")[1])][:2]
        order(live, f"{path}/activate", older)
        order(live, f"{path}/shadow", newest)
        for seed in range(_PHOTOS // 10):
            post_some(live, photos, 10, seed)
            while sum(json.loads(live.get(f"{path}/shadow")[1])[n] for n in ("judged", "dropped")) < 10 * (
                seed + 1
            ):
                time.sleep(0.1)
        time.sleep(1.5)
        take(browser, live, "/station/models", DESKTOP, "models")


def order(live: Live, path: str, version: str) -> None:
    """Post which version is wanted."""
    connection = live.connect()
    connection.request("POST", path, json.dumps({"version": version}), {"content-type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    connection.close()


def main(bundles: Path, photos: Path) -> None:
    """Serve, post, and take the pictures."""
    (DOCS / "station").mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as archive,
        sync_playwright() as playwright,
        serving(bundles, archive=Path(archive)) as live,
    ):
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        answers = post_some(live, photos, _PHOTOS, _SEED)
        defect = [found for found, verdict in answers if verdict not in ("clean", "invalid")][-2]
        post(live, b"\xff\xd8 cut off", "BR-23471", "cam2")
        take(browser, live, "/", DESKTOP, "board-not-inspected")
        reject = next(f for f in sorted(photos.iterdir()) if f.name not in ("good", "masks"))
        for file in sorted(reject.iterdir()):
            if post(live, file.read_bytes(), "BR-23472", "cam1")["verdict"] not in ("clean", "invalid"):
                break
        take(browser, live, "/", DESKTOP, "board")
        post(live, next((photos / "good").iterdir()).read_bytes(), "BR-23473", "cam3")
        take(browser, live, "/", TABLET, "board-tablet")
        path = f"/station/inspections/{defect}"
        take(browser, live, path, DESKTOP, "inspection")
        take(
            browser, live, path, TABLET, "inspection-zoom", "document.querySelector('[data-region]').click()"
        )
        choose = "document.querySelector('[value=difference]').click()"
        take(browser, live, path, TABLET, "inspection-difference", choose)
        take(browser, live, f"/station/review/{defect}", TABLET, "review")
        judge_some(live, answers)
        limit = json.loads(live.get("/parts")[1])[0]["limits"]["anomaly"]
        take(browser, live, f"/station/limits?last=100&anomaly={1.08 * limit:.4g}", DESKTOP, "limits")
        page = browser.new_page(viewport=DESKTOP)
        page.goto(f"http://127.0.0.1:{live.port}/")
        page.wait_for_timeout(2000)
        live.terminate()
        live.process.wait()
        time.sleep(4)
        page.screenshot(path=DOCS / "station" / "board-stale.jpg", type="jpeg", quality=60)
        add_history(Path(archive))
        with serving(bundles, archive=Path(archive), environment=PLANT) as filled:
            take(browser, filled, "/station/numbers?days=30&by=shift", WHOLE_PAGE, "numbers", quality=50)
        keys = Path(archive) / "keys.json"
        add_key(keys, "Ada", "operator")
        with serving(bundles, "--keys", str(keys), environment={"GLINT_OPEN_HEALTH": "true"}) as guarded:
            take(browser, guarded, "/", TABLET, "sign-in")
        if len(list(bundles.glob("**/manifest.json"))) > 1:
            take_models(browser, bundles, photos)
        browser.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
