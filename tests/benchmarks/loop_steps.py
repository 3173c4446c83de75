"""The steps from a line's photos to the next bundle, by what a user has: the `glint` command and HTTP."""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.decision import CLEAN, INVALID
from tests.end_to_end.product import glint
from tests.service.live import Live

PART = "part"
OPINIONS = ("anomaly", "classifier", "combined")
_HOLDER = "0123456789abcdef"


@dataclass(frozen=True)
class Photo:
    """A photo and its true class, `clean` or a defect's."""

    path: Path
    label: str


@dataclass(frozen=True)
class Answered:
    """What the service said of a photo: the verdict, and the rules that fired."""

    photo: Photo
    id: str
    verdict: str
    rules: tuple[str, ...]

    def rejected_by(self, opinion: str) -> bool:
        """Whether this opinion, or the verdict that is `combined` of both, keeps the part from passing."""
        if self.verdict == INVALID:
            return True
        return self.verdict != CLEAN if opinion == "combined" else opinion in self.rules


@dataclass
class Reviewing:
    """What the review came to: judgements by decision, and photos that did not wait to be judged."""

    decisions: Counter[str] = field(default_factory=Counter)
    unasked: int = 0


def photos_of(folder: Path) -> dict[str, list[Photo]]:
    """The photos of class folders by class, in the order of their names; `good` holds the clean ones."""
    found = {}
    for each in sorted(folder.iterdir()):
        if each.is_dir() and each.name != "masks":
            label = CLEAN if each.name == "good" else each.name
            found[label] = [Photo(path, label) for path in sorted(each.iterdir())]
    return found


def lay_out(photos: Sequence[Photo], folder: Path) -> Path:
    """Copy photos into class folders, to train on."""
    for photo in photos:
        home = folder / ("good" if photo.label == CLEAN else photo.label)
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo.path, home)
    return folder


def train(photos: Path, bundles: Path, *options: object) -> tuple[Path, str]:
    """`glint train`: the new bundle, and what was printed."""
    before = set(bundles.glob(f"{PART}/*/manifest.json"))
    words = ("train", photos, "--part", PART, "--bundles", bundles, "--device", "cpu", "--quiet", *options)
    said = glint(*words)
    (manifest,) = set(bundles.glob(f"{PART}/*/manifest.json")) - before
    return manifest.parent, said


def post_all(live: Live, photos: Sequence[Photo]) -> list[Answered]:
    """Post photos one by one, each with its file's name as serial."""
    connection = live.connect()
    answered = []
    for number, photo in enumerate(photos):
        path = f"/inspect?part={PART}&overlay=none&serial={photo.label}-{number}"
        headers = {"content-type": "application/octet-stream"}
        connection.request("POST", path, photo.path.read_bytes(), headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        # Outside the quality gate there is no verdict (422); whatever else is no verdict is a fault.
        assert response.status in (200, 422), answer
        found = (str(answer["id"]), str(answer["verdict"]), tuple(answer.get("rules", ())))
        answered.append(Answered(photo, *found))
    connection.close()
    return answered


def review_all(live: Live, answered: Sequence[Answered]) -> Reviewing:
    """Take item after item and judge it by the truth, as an operator who is always right."""
    by_id = {each.id: each for each in answered}
    done = Reviewing()
    while (taken := ask(live, "POST", "/reviews/next", {"holder": _HOLDER})["inspection_id"]) is not None:
        each = by_id.pop(taken)
        truth = each.photo.label
        decision = "accept" if (each.verdict == CLEAN) == (truth == CLEAN) else "overrule"
        order = {"decision": decision, "operator": "script", **({} if truth == CLEAN else {"label": truth})}
        ask(live, "POST", f"/inspections/{taken}/judgements", order)
        done.decisions[decision] += 1
    done.unasked = len(by_id)
    return done


def export(archive: Path, output: Path) -> Path:
    """`glint dataset from-archive`."""
    glint("dataset", "from-archive", "--part", PART, "--archive", archive, output)
    return output


def activate(live: Live, bundle: Path) -> None:
    """Put a bundle in place by HTTP, and see that it serves."""
    ask(live, "POST", f"/parts/{PART}/activate", {"version": bundle.name})
    versions = ask(live, "GET", f"/parts/{PART}/versions")
    assert [each["version"] for each in versions if each["active"]] == [bundle.name]


def ask(live: Live, method: str, path: str, order: dict[str, object] | None = None) -> Any:
    """A request with a JSON body; the answer's JSON, which must be no problem."""
    connection = live.connect()
    try:
        body = None if order is None else json.dumps(order)
        connection.request(method, path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        assert response.status < 300, answer
        return answer
    finally:
        connection.close()
