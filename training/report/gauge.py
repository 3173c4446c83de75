"""The page of a measurement-system check: one HTML file that needs nothing beside it."""

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from models.errors import DatasetError, PhotoError
from models.svg import Axis, Frame, text, upright
from training.data.samples import Sample
from training.gauge.figures import Flipping, WayFigures
from training.gauge.kappa import grade
from training.gauge.study import Study
from training.gauge.trials import LIMIT, Part, Trial, Way
from training.gauge.words import conclusions, kappa_text, thing, title_of
from training.report.cases import mask_of, picture
from training.report.figures import SHARES, Figure
from training.report.templates import template

SHOWN = 12
# More lines than this cannot be told apart; what is far from the limit is least worth seeing.
_DRAWN = 300
_PHOTOS = 6
# What fits to the left of a small plot.
_SHORT: dict[Way, str] = {"together": "all", "presented": "again"}


@dataclass(frozen=True)
class Shot:
    """A picture as a data URI, and what is said of it."""

    source: str
    caption: str


@dataclass(frozen=True)
class FlippingCase:
    """A part that flips: pictures of it, its scores, and a row for each disturbance that turns it."""

    name: str
    label: str
    shots: tuple[Shot, ...]
    scores: Markup
    rows: tuple[tuple[str, Flipping], ...]


def write_gauge_page(path: Path, study: Study) -> None:
    """Write a study as one HTML file."""
    words = conclusions(study)
    manifest = study.inspector.manifest
    by_part = {part.name: part for part in study.parts}
    names = list(dict.fromkeys(each.part for each in study.flipping))
    page = template("gauge.html.j2").render(
        manifest=manifest,
        study=study,
        main=study.main,
        headline=words[0],
        words=words[1:],
        rows=[(title_of(way.way, study.simulated), way) for way in study.ways],
        grades={"repeats": _grade(study.main.kappa), "labels": _grade(study.main.standard.kappa)},
        kappa_text=kappa_text,
        things=thing(study, 2),
        figure=_score_figure(study),
        cases=[_case(study, by_part[name]) for name in names[:SHOWN]],
        n_flipping=len(names),
    )
    # A file name may hold bytes that are no UTF-8; a question mark stands for them.
    path.write_text(page, encoding="utf-8", errors="replace")


def _grade(kappa: float | None) -> tuple[str, str]:
    """What a kappa is called, and the style of it."""
    if kappa is None:
        return "not defined", ""
    word = grade(kappa)
    return word, {"good": "fine", "poor": "bad"}.get(word, "")


def _score_figure(study: Study) -> Figure:
    """The scores of all parts, from the lowest to the highest of each; good ones to the left."""
    way = study.main.way
    parts = sorted(
        (part for part in study.parts if part.scores(way)), key=lambda part: _off(part, study.main)
    )
    shown = parts[:_DRAWN]
    if not shown:
        return Figure(f"No {thing(study, 1)} has a score.")
    ordered = sorted(shown, key=lambda part: (part.defective, _middle(part, study.main)))
    good = sum(not part.defective for part in ordered)
    frame = Frame(
        Axis(-0.5, len(ordered) - 0.5, (), f"{thing(study, 2)}, by score"),
        Axis(0.0, 1.0, SHARES, "score"),
        width=940.0,
        height=340.0,
    )
    marks = [_level(frame, LIMIT)]
    for place, part in enumerate(ordered):
        marks += _whisker(frame, place, part, study.main)
    if 0 < good < len(ordered):
        marks.append(upright(frame, good - 0.5, ""))
    marks.append(text(frame.px(-0.5) + 6, 18, "good, to the left", style="note good"))
    marks.append(text(frame.px(-0.5) + 130, 18, "defective, to the right", style="note defective"))
    caption = (
        f"The score of each {thing(study, 1)} in its repeats ({title_of(way, study.simulated)}), from the "
        "lowest to the highest; a ring stands for one that flips. Dashed: the limit."
    )
    if len(shown) < len(parts):
        caption += f" The {len(shown)} nearest to the limit of {len(parts)}."
    return Figure(caption, frame.draw(marks, "Scores of the repeats, by part"))


def _whisker(frame: Frame, place: int, part: Part, main: WayFigures) -> list[Markup]:
    scores = part.scores(main.way)
    x, top, bottom = frame.px(place), frame.py(max(scores)), frame.py(min(scores))
    style = "defective" if part.defective else "good"
    line = Markup('<line class="range {}" x1="{x:.1f}" y1="{:.1f}" x2="{x:.1f}" y2="{:.1f}"/>')
    marks = [line.format(style, top - 1.0, bottom + 1.0, x=x)]
    if part.flips(main.way):
        ring = Markup('<circle class="ring {}" cx="{:.1f}" cy="{:.1f}" r="5"/>')
        marks.append(ring.format(style, x, frame.py(_middle(part, main))))
    return marks


def _level(frame: Frame, value: float) -> Markup:
    line = Markup('<line class="limit" x1="{:.1f}" y1="{y:.1f}" x2="{:.1f}" y2="{y:.1f}"/>')
    return line.format(frame.px(frame.x.low), frame.px(frame.x.high), y=frame.py(value))


def _middle(part: Part, main: WayFigures) -> float:
    scores = part.scores(main.way)
    return sum(scores) / len(scores)


def _off(part: Part, main: WayFigures) -> float:
    return abs(_middle(part, main) - LIMIT)


def _case(study: Study, part: Part) -> FlippingCase:
    rows = tuple(
        (title_of(each.way, study.simulated), each) for each in study.flipping if each.part == part.name
    )
    try:
        shots = _shots(study, part)
    except (OSError, PhotoError, DatasetError):
        shots = ()
    return FlippingCase(part.name, part.label, shots, _strip(study, part), rows)


def _shots(study: Study, part: Part) -> tuple[Shot, ...]:
    """The photo and its overlay; or the photos of the part with what was said of each."""
    inspector = study.inspector
    if study.simulated is None:
        pairs = list(zip(part.samples, part.trials["presented"], strict=True))
        return tuple(Shot(_photo(study, sample), _said(trial)) for sample, trial in pairs[:_PHOTOS])
    (sample,) = part.samples
    _, prepared, outputs = inspector.inspect(sample.path.read_bytes())
    overlay = Shot(picture(inspector.overlay(prepared, outputs)), f"as it is: {_said(part.reference)}")
    return (Shot(picture(prepared.photo.pixels, mask_of(sample)), "the photo"), overlay)


def _photo(study: Study, sample: Sample) -> str:
    return picture(study.inspector.prepare(sample.path.read_bytes()).photo.pixels, mask_of(sample))


def _said(trial: Trial) -> str:
    return trial.verdict if trial.score is None else f"{trial.verdict}, {trial.score:.3f}"


def _strip(study: Study, part: Part) -> Markup:
    """The scores of the repeats as dots, a row for each kind of disturbance, about the limit."""
    ways = [way.way for way in study.ways]
    everything = [score for way in ways for score in part.scores(way)]
    if not everything:
        return Markup()
    reach = 1.15 * max(0.02, *(abs(score - LIMIT) for score in everything))
    low, high = LIMIT - reach, LIMIT + reach
    ticks = tuple((value, f"{value:.3f}") for value in (LIMIT - 0.8 * reach, LIMIT, LIMIT + 0.8 * reach))
    names = [(-float(row), _SHORT.get(name, name)) for row, name in enumerate(ways)]
    frame = Frame(
        Axis(low, high, ticks, "score"),
        Axis(0.5 - len(ways), 1.2, tuple(names), ""),
        height=106.0 + 22.0 * len(ways),
    )
    marks = [upright(frame, LIMIT, "limit")]
    dot = Markup('<circle class="trial" cx="{:.1f}" cy="{:.1f}" r="4"/>')
    for row, way in enumerate(ways):
        marks += [dot.format(frame.px(score), frame.py(-float(row))) for score in part.scores(way)]
    return frame.draw(marks, f"Scores of the repeats of {part.name}")
