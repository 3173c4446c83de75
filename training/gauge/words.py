"""A measurement-system check in plain words: what was found, what is usual, and what it does not say."""

from models.intervals import Share
from training.gauge.figures import Standard, WayFigures
from training.gauge.kappa import GOOD, POOR, grade
from training.gauge.study import Simulated, Study
from training.gauge.trials import Way

# AIAG's bounds of an acceptable and of a marginal appraiser: effectiveness, misses, false alarms.
ACCEPTABLE, MARGINAL = (0.90, 0.02, 0.05), (0.80, 0.05, 0.10)

_ENOUGH = 50
_FEW_OF_A_KIND = 10


def title_of(way: Way, simulated: Simulated | None) -> str:
    """What was different between the repeats."""
    if simulated is None:
        return "presented again"
    amplitudes = simulated.amplitudes
    titles: dict[Way, str] = {
        "shift": f"shift ±{amplitudes.shift:g} px",
        "light": f"light ±{100 * amplitudes.light:g} %",
        "noise": f"noise {amplitudes.noise:g} of 255",
        "together": "all together",
    }
    return titles[way]


def conclusions(study: Study) -> list[str]:
    """What to conclude, a sentence or two a line, the most important first."""
    main = study.main
    lines = [_kept(study), _between_repeats(main), _with_labels(study), *_right(main.standard)]
    lines += [*_marked(study), *_what_matters(study), *_near(study), *_without_verdict(main)]
    return [*lines, *_reservations(study)]


def percent(share: float) -> str:
    """A share 0..1 in per cent."""
    return f"{100.0 * share:.1f} %"


def between(found: Share) -> str:
    """A share's interval in words; empty without anything counted."""
    return "" if found.low is None or found.high is None else f"{percent(found.low)} to {percent(found.high)}"


def kappa_text(kappa: float | None) -> str:
    """A kappa with two digits; none where it is not defined."""
    return "none" if kappa is None else f"{kappa:.2f}"


def thing(study: Study, count: int) -> str:
    """What is counted, in the number that fits."""
    one = "photo" if study.simulated else "part"
    return one if count == 1 else f"{one}s"


def _kept(study: Study) -> str:
    kept = study.main.kept
    often = f"all {study.simulated.repeats} repeats" if study.simulated else "all their photos"
    return (
        f"{kept.count} of {kept.total} {thing(study, kept.total)} keep their outcome (passed, rejected, no "
        f"verdict) in {often}: {percent(kept.rate or 0.0)}, 95 % interval {between(kept)}."
    )


def _between_repeats(main: WayFigures) -> str:
    if main.kappa is None:
        return (
            "There is no kappa between repeats: all of them have the same outcome, so chance agrees as well."
        )
    rule = f"by AIAG's rule of thumb, above {GOOD:g} is good, below {POOR:.2f} poor"
    return f"Kappa between repeats {main.kappa:.2f}: {grade(main.kappa)} ({rule})."


def _with_labels(study: Study) -> str:
    kappa = study.main.standard.kappa
    if kappa is None:
        missing = "defective" if not study.n_defective else "good"
        return f"No {thing(study, 1)} is labelled {missing}, so kappa with the labels says nothing."
    told = f"Kappa with the labels {kappa:.2f}: {grade(kappa)}."
    kept = study.main.kept
    # Where every repeat has one and the same outcome there is no kappa between them, and no doubt either.
    repeats = study.main.kappa > GOOD if study.main.kappa is not None else kept.count == kept.total
    if kappa <= GOOD and repeats:
        told += (
            " The verdicts repeat, but they are not those of the labels: look at the limits and the training "
            "photos (glint evaluate), or at the labels, before fixture, lamp and camera."
        )
    return told


def _right(standard: Standard) -> list[str]:
    right = standard.effectiveness
    rates = [f"effectiveness (right in all repeats) {percent(right.rate or 0.0)}, {between(right)}"]
    judged = [_judge(-(right.rate or 0.0), -ACCEPTABLE[0], -MARGINAL[0])]
    for name, rate, column in (
        ("misses", standard.miss_rate, 1),
        ("false alarms", standard.false_alarm_rate, 2),
    ):
        if rate is not None:
            rates.append(f"{name} {percent(rate)}")
            judged.append(_judge(rate, ACCEPTABLE[column], MARGINAL[column]))
    worst = max(judged)
    word = ("acceptable", "marginal", "not acceptable")[worst]
    return [
        f"Against the labels: {'; '.join(rates)}. By AIAG's usual bounds that is {word} (acceptable: 90 % "
        "and more, 2 % and 5 % at most; marginal: 80, 5 and 10 %)."
    ]


def _judge(value: float, acceptable: float, marginal: float) -> int:
    return 0 if value <= acceptable else 1 if value <= marginal else 2


def _marked(study: Study) -> list[str]:
    main = study.main
    flipping = main.kept.total - main.kept.count
    if not flipping:
        return []
    if flipping == 1:
        what = f"The one {thing(study, 1)} that flips is {'' if main.n_marked else 'not '}"
    else:
        many = "All" if main.n_marked == flipping else f"{main.n_marked} of the"
        what = f"{many} {flipping} {thing(study, flipping)} that flip are "
    return [f"{what}marked as doubtful (needs_review), which asks a person to look."]


def _what_matters(study: Study) -> list[str]:
    alone = [way for way in study.ways if way.way in ("shift", "light", "noise")]
    if len(alone) < 2:
        return []
    turned = ", ".join(f"{way.way} {way.kept.total - way.kept.count}" for way in alone)
    by_flips = sorted(alone, key=lambda way: way.kept.count)
    moved = ", ".join(f"{way.way} {way.spread.deviation or 0.0:.4f}" for way in alone)
    spread = f"the score moves by (standard deviation): {moved}"
    lead = f"{thing(study, 2).capitalize()} that flip by one disturbance alone: {turned}; {spread}."
    if by_flips[0].kept.count < by_flips[1].kept.count:
        return [f"{lead} {by_flips[0].way.capitalize()} matters most."]
    most = max(alone, key=lambda way: way.spread.deviation or 0.0)
    return [f"{lead} {most.way.capitalize()} moves scores most."] if most.spread.deviation else [lead]


def _near(study: Study) -> list[str]:
    near = study.main.spread.n_near
    if not near:
        return []
    verb = "lies" if near == 1 else "lie"
    return [
        f"{near} {thing(study, near)} {verb} within three standard deviations of the limit, where a repeat "
        "turns the verdict now and then."
    ]


def _without_verdict(main: WayFigures) -> list[str]:
    if not main.n_invalid:
        return []
    return [
        f"{main.n_invalid} of {main.n_trials} repeats got no verdict (outside the quality gate, mostly). "
        "They count as an outcome of their own, never as passed, and never as right."
    ]


def _reservations(study: Study) -> list[str]:
    lines = []
    good = len(study.parts) - study.n_defective
    if len(study.parts) < _ENOUGH or min(good, study.n_defective) < _FEW_OF_A_KIND:
        lines.append(
            f"{len(study.parts)} {thing(study, len(study.parts))}, {study.n_defective} of them defective, "
            f"are few: take {_ENOUGH} and more, good, defective and doubtful ones. Kappa depends on that mix."
        )
    if study.n_seen:
        lines.append(
            f"{study.n_seen} of the photos were used to make the bundle, which flatters their agreement with "
            "the labels."
        )
    if study.simulated:
        lines.append(
            "These repeats are simulated on the photo. They leave out what a fixture, a lamp and a hand do: "
            "they find verdicts that cannot hold, and do not prove those that do. For that, present parts "
            "again (--presented)."
        )
    return lines
