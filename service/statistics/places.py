"""Where on the part defects lie: how many of them cover each cell of a grid over the model's input."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Connection, select

from models.answer import PartPose
from models.decision import CLEAN
from models.preprocessing import Placement, Preprocessing
from service.archive.candidates import JUDGED
from service.archive.tables import inspections, judgements, reviews
from service.statistics.question import MOST_MASKS, MOST_PLACED, Question
from service.statistics.reading import Mask, Read, is_reject

LONGEST_SIDE = 64
_CHUNK = 500
# A cell of which a turned drawing covers less is one that it does not touch.
_TOUCHED = 0.05

# Bundles with a template hardly stretch photos.
_UNSTRETCHED = 1.03

# Which inspections, bool [N], and whether there are more than could be taken.
Asked = tuple[Mask, bool]
ReadMask = Callable[[str], bytes | None]


@dataclass(frozen=True)
class Places:
    """How many defects cover each cell.

    Attributes:
        cells: int64 [rows, columns] over the model's input; without a bundle, over the photo.
        defects: how many have a place.
        drawn: how many of them are as an operator drew them; the others are the boxes of their regions.
        without_place: defects of which no place is known, such as those that the classifier alone found.
        good: left out, since an operator says that they are good.
        shortened: there are more, and only the newest were taken.
    """

    cells: npt.NDArray[np.int64]
    defects: int
    drawn: int
    without_place: int
    good: int
    shortened: bool


@dataclass(frozen=True)
class Defect:
    """What is known of a defect's place: (x, y, width, height) of its regions, and the path of its mask.

    `size` is the photo's (height, width), `pose` how the part lay on the bundle's template, if it has one.
    """

    size: tuple[int, int]
    boxes: Sequence[tuple[int, int, int, int]]
    mask: str | None
    pose: PartPose | None = None


@dataclass(frozen=True)
class Found:
    """Defects, the newest first; how many were left out as good, and whether there are more."""

    defects: list[Defect]
    good: int
    shortened: bool


@dataclass(frozen=True)
class _Judged:
    """What an operator said of an inspection, and drew."""

    label: str
    mask: str | None


def defects_of(connection: Connection, read: Read, question: Question, asked: Asked) -> Found:
    """Find the newest defects of a part, those that only operators noticed among them.

    Args:
        read: the newest inspections.
        question: names the part.
        asked: which of them are asked for, and whether there would be more.
    """
    chosen, shortened = asked
    rejects = chosen & read.rejects()
    moments = read.moments_of(rejects, MOST_PLACED)
    rows = _rows(connection, inspections.c.time.in_, moments)
    rows = [row for row in rows if is_reject(row.verdict) and _is_asked(row, question)]
    rows += _escaped(connection, read, chosen, question)
    judged = _judged(connection, [row.id for row in rows])
    defects = [row for row in rows if row.id not in judged or judged[row.id].label != CLEAN]
    defects = sorted(defects, key=lambda row: row.time, reverse=True)[:MOST_PLACED]
    return Found(
        [_defect(row, judged.get(row.id)) for row in defects],
        sum(each.label == CLEAN for each in judged.values()),
        shortened or int(rejects.sum()) > MOST_PLACED,
    )


def places_of(found: Found, preprocessing: Preprocessing | None, read_mask: ReadMask) -> Places:
    """Lay defects over one another.

    Args:
        preprocessing: of the part's bundle; None lays the photos themselves over one another.
        read_mask: gives a mask as PNG, or None if it is gone.
    """
    defects = found.defects
    grid = _Grid(preprocessing, defects[0].size if defects else (1, 1))
    placed = drawn = masks = 0
    for defect in defects:
        mask = read_mask(defect.mask) if defect.mask is not None and masks < MOST_MASKS else None
        masks += mask is not None
        by_mask = mask is not None and grid.of_mask(mask, defect)
        drawn += by_mask
        placed += by_mask or grid.of_boxes(defect)
    return Places(grid.cells, placed, drawn, len(defects) - placed, found.good, found.shortened)


class _Grid:
    """Counts, cell by cell, what is laid upon it."""

    def __init__(self, preprocessing: Preprocessing | None, photo: tuple[int, int]) -> None:
        self._preprocessing = preprocessing
        self._size = preprocessing.size if preprocessing else photo
        scale = LONGEST_SIDE / max(self._size)
        rows, columns = (max(1, round(side * scale)) for side in self._size)
        self.cells = np.zeros((rows, columns), np.int64)

    def of_boxes(self, defect: Defect) -> bool:
        """Count the cells that the boxes of a defect cover, each once; whether there are any."""
        covered = np.zeros(self.cells.shape, np.bool_)
        if defect.pose is not None:
            place = _place_in(defect.pose, defect.size)
            drawn = np.zeros((place.height, place.width), np.float32)
            across, down = place.width / place.photo_width, place.height / place.photo_height
            for x, y, width, height in defect.boxes:
                rows = slice(int(down * y), max(int(down * y) + 1, round(down * (y + height))))
                drawn[rows, int(across * x) : max(int(across * x) + 1, round(across * (x + width)))] = 1
            covered = self._turned(drawn, defect.pose, place)
        else:
            for x, y, width, height in defect.boxes:
                covered[self._window(defect.size, (x, y, x + width, y + height))] = True
        return self._count(covered)

    def of_mask(self, data: bytes, defect: Defect) -> bool:
        """Count the cells that a mask covers; whether there are any."""
        mask = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            return False
        if defect.pose is not None:
            place = _place_in(defect.pose, defect.size)
            size = (place.width, place.height)
            small = cv2.resize((mask > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
            return self._count(self._turned(np.asarray(small, np.float32), defect.pose, place))
        covered = np.zeros(self.cells.shape, np.bool_)
        part = covered[self._window(defect.size, (0, 0, defect.size[1], defect.size[0]))]
        part |= cv2.resize(mask, part.shape[::-1], interpolation=cv2.INTER_AREA) > 0
        return self._count(covered)

    def _count(self, covered: Mask) -> bool:
        self.cells += covered
        return bool(covered.any())

    def _turned(self, drawn: npt.NDArray[np.float32], pose: PartPose, place: Placement) -> Mask:
        """The cells that a drawing at the scale of the input covers once it is laid on the template."""
        height, width = pose.height, pose.width
        whole = np.zeros((height, width), np.float32)
        whole[place.top : place.top + place.height, place.left : place.left + place.width] = drawn
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        laid = cv2.warpAffine(whole, np.array(pose.matrix).reshape(2, 3), (width, height), flags=flags)
        size = self.cells.shape[::-1]
        shares = cv2.resize(laid, size, interpolation=cv2.INTER_AREA)
        # However small a drawing is, it lies somewhere.
        return np.asarray(shares > min(_TOUCHED, 0.5 * float(shares.max())))

    def _window(self, photo: tuple[int, int], box: tuple[int, int, int, int]) -> Any:
        """The cells that a box (left, top, right, bottom) of a photo touches."""
        place = self._place(photo)
        scale_y, scale_x = place.height / place.photo_height, place.width / place.photo_width
        rows, columns = self.cells.shape
        cell_y, cell_x = self._size[0] / rows, self._size[1] / columns
        left, right = ((place.left + scale_x * x) / cell_x for x in (box[0], box[2]))
        top, bottom = ((place.top + scale_y * y) / cell_y for y in (box[1], box[3]))
        first_row, first_column = min(int(top), rows - 1), min(int(left), columns - 1)
        last_row = max(first_row + 1, int(np.ceil(bottom)))
        return np.s_[first_row:last_row, first_column : max(first_column + 1, int(np.ceil(right)))]

    def _place(self, photo: tuple[int, int]) -> Placement:
        if self._preprocessing is not None:
            return self._preprocessing.place(*photo)
        return Placement(*photo, 0, 0, *self._size, letterboxed=False)


def _rows(
    connection: Connection, among: Callable[[Sequence[Any]], ColumnElement[bool]], values: Sequence[Any]
) -> list[Any]:
    column = inspections.c
    wanted = (column.id, column.time, column.part, column.camera, column.bundle_version, column.verdict)
    found: list[Any] = []
    for start in range(0, len(values), _CHUNK):
        query = select(*wanted, column.answer).where(among(values[start : start + _CHUNK]))
        found += connection.execute(query).all()
    return found


def _is_asked(row: Any, question: Question) -> bool:
    """Whether it is the one that was meant: another may have been recorded in the same microsecond."""
    return row.part == question.part and all(
        wanted is None or (has or "") == wanted
        for has, wanted in ((row.camera, question.camera), (row.bundle_version, question.version))
    )


def _escaped(connection: Connection, read: Read, chosen: Mask, question: Question) -> list[Any]:
    """Those that passed as clean, and that an operator calls defective."""
    column = reviews.c
    query = (
        select(column.inspection_id, column.time)
        .where(column.state == JUDGED, column.part == question.part, column.verdict == CLEAN)
        .where(column.label != CLEAN)
        .order_by(column.time.desc())
        .limit(MOST_PLACED)
    )
    found = connection.execute(query).all()
    asked = read.are_among(chosen, (row.time for row in found))
    ids = [row.inspection_id for row, is_asked in zip(found, asked, strict=True) if is_asked]
    return _rows(connection, inspections.c.id.in_, ids)


def _judged(connection: Connection, ids: Sequence[str]) -> dict[str, _Judged]:
    """What operators said of those inspections that they could tell."""
    found = {}
    for start in range(0, len(ids), _CHUNK):
        query = (
            select(reviews.c.inspection_id, reviews.c.label, judgements.c.mask)
            .outerjoin(judgements, judgements.c.id == reviews.c.judgement_id)
            .where(reviews.c.inspection_id.in_(ids[start : start + _CHUNK]))
            .where(reviews.c.state == JUDGED, reviews.c.label.is_not(None))
        )
        found.update({row.inspection_id: _Judged(row.label, row.mask) for row in connection.execute(query)})
    return found


def _place_in(pose: PartPose, photo: tuple[int, int]) -> Placement:
    """Where a photo lay in the input of the bundle that found its pose, which may be another one by now."""
    return Preprocessing(height=pose.height, width=pose.width, max_stretch=_UNSTRETCHED).place(*photo)


def _defect(row: Any, judged: _Judged | None) -> Defect:
    answer = json.loads(row.answer)
    boxes = [region["box"] for region in answer["regions"]]
    return Defect(
        size=(answer["image"]["height"], answer["image"]["width"]),
        boxes=[(box["x"], box["y"], box["width"], box["height"]) for box in boxes],
        mask=judged.mask if judged else None,
        pose=PartPose.model_validate(pose) if (pose := answer["image"].get("pose")) else None,
    )
