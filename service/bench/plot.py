"""The picture of a measurement: throughput, latency, and where the time goes."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from models.svg import Axis, Frame, bar, dot, legend, line, round_ticks, text
from service.bench.measures import BenchResult, Level

_WIDTH, _HEIGHT, _HEAD = 460, 300, 34
_STYLE = Markup("""<style>
.note { paint-order: stroke; stroke: #fff; stroke-width: 4px; }
text { font: 12px sans-serif; fill: #16202b; } .tick, .axis-title { fill: #566373; }
.head { font-weight: 600; font-size: 14px; }
.grid { stroke: #e3e7ec; } .axis { stroke: #566373; }
.line { fill: none; stroke-width: 2.2; stroke: #0072b2; }
.dot { fill: #fff; stroke: #0072b2; stroke-width: 2; }
.raw { stroke: #566373; stroke-dasharray: 6 4; } .p95 { stroke-dasharray: 8 4; }
.p99 { stroke-dasharray: 2.5 3; }
.stage { fill: #0072b2; }
</style>""")


def plot(result: BenchResult) -> str:
    """The picture as a standing SVG document."""
    panels = [_throughput(result)]
    measured = [level for level in result.http if level.latency]
    if measured:
        panels.append(_latency(measured))
    staged = [level for level in measured if level.stages_ms]
    if staged:
        panels.append(_stages(min(staged, key=lambda level: level.clients)))
    title = f"{result.part} {result.bundle_version} in {result.precision} on {result.provider}, {result.machine}"
    head = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}">'
    ).format(w=_WIDTH * len(panels), h=_HEIGHT + _HEAD)
    placed = [
        Markup('<svg x="{}" y="{}" width="{}" height="{}">{}</svg>').format(
            index * _WIDTH, _HEAD, _WIDTH, _HEIGHT, panel
        )
        for index, panel in enumerate(panels)
    ]
    paper = Markup('<rect width="100%" height="100%" fill="#fff"/>')
    caption = text(14, 22, title, style="head")
    return str(Markup("").join([head, _STYLE, paper, caption, *placed, Markup("</svg>")])) + "\n"


def _throughput(result: BenchResult) -> Markup:
    raw = max(run.photos_per_second for run in result.raw)
    speeds = [level.photos_per_second for level in result.http]
    top = 1.15 * max(raw, *speeds)
    frame = Frame(_clients_axis(result.http), Axis(0.0, top, round_ticks(0.0, top), ""))
    places = [_place(level) for level in result.http]
    marks = [
        line(frame, [frame.x.low, frame.x.high], [raw, raw], "raw"),
        line(frame, places, speeds, "http"),
        *(dot(frame, x, y, f"{y:,.1f}") for x, y in zip(places, speeds, strict=True)),
        text(
            frame.px(frame.x.high) - 4,
            frame.py(raw) - 6,
            f"raw session {raw:,.1f}",
            anchor="end",
            style="note",
        ),
        text(14, 16, "photos per second"),
    ]
    return frame.draw(marks, "Photos per second against the number of clients")


def _latency(levels: Sequence[Level]) -> Markup:
    seen = [level.latency for level in levels if level.latency]
    low = math.floor(math.log10(min(latency.p50_ms for latency in seen)))
    high = math.ceil(math.log10(max(latency.p99_ms for latency in seen)))
    ticks = tuple((float(power), f"{10.0**power:g}") for power in range(low, high + 1))
    frame = Frame(_clients_axis(levels), Axis(low, max(high, low + 1), ticks, ""))
    places = [_place(level) for level in levels]
    curves = {
        "p50": [latency.p50_ms for latency in seen],
        "p95": [latency.p95_ms for latency in seen],
        "p99": [latency.p99_ms for latency in seen],
    }
    marks = [line(frame, places, [math.log10(ms) for ms in curve], name) for name, curve in curves.items()]
    marks.append(legend(frame, [(name, name) for name in curves], x=70, y=45))
    marks.append(text(14, 16, "latency, ms"))
    return frame.draw(marks, "Latency in milliseconds against the number of clients")


def _stages(level: Level) -> Markup:
    stages = list(level.stages_ms.items())
    # Room to the right of the longest bar for its name.
    right = 1.7 * max([ms for _, ms in stages] + [0.1])
    clients = "1 client" if level.clients == 1 else f"{level.clients} clients"
    frame = Frame(
        Axis(0.0, right, round_ticks(0.0, right), f"mean ms of a photo, {clients}"),
        Axis(0.0, float(len(stages)), (), ""),
    )
    marks = []
    for index, (name, ms) in enumerate(stages):
        middle = len(stages) - index - 0.5
        marks.append(bar(frame, 0.0, max(0.0, ms), middle - 0.35, middle + 0.35, "stage"))
        marks.append(
            text(frame.px(max(0.0, ms)) + 6, frame.py(middle) + 4, f"{name} {ms:,.1f}", style="note")
        )
    return frame.draw(marks, "Mean milliseconds of each stage")


def _clients_axis(levels: Sequence[Level]) -> Axis:
    """Clients on a scale of powers of two, with room at both ends."""
    ticks = tuple((_place(level), str(level.clients)) for level in levels)
    places = [place for place, _ in ticks]
    return Axis(min(places) - 0.5, max(places) + 1.0, ticks, "clients")


def _place(level: Level) -> float:
    return math.log2(level.clients)
