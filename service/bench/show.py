"""What `glint bench` prints."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from service.bench.measures import BenchResult, Latency, Level


def show(result: BenchResult, console: Console) -> None:
    """Print the tables, and in words what they do not say."""
    console.print(
        f"{result.title}\n{result.photos}; {result.seconds:g} s each; deadline {result.deadline_ms} ms",
        markup=False,
        soft_wrap=True,
    )
    console.print()
    console.print(_speeds(result))
    if any(level.stages_ms for level in result.http):
        console.print()
        console.print(_stages(result.http))
    console.print()
    for remark in _remarks(result):
        console.print(remark, markup=False, soft_wrap=True)


def _speeds(result: BenchResult) -> Table:
    table = _table("latency in ms", "photos/s", "p50", "p95", "p99", "verdicts", "late", "refused", "lost")
    for run in result.raw:
        name = f"raw, batch {run.batch}"
        table.add_row(
            name, f"{run.photos_per_second:,.1f}", *_latency(run.latency), f"{run.batch * run.runs:,}"
        )
    for level in result.http:
        counts = level.answered, level.late, sum(level.refused.values()), sum(level.lost.values())
        table.add_row(
            f"HTTP, {_clients(level)}",
            f"{level.photos_per_second:,.1f}",
            *_latency(level.latency),
            *(f"{count:,}" for count in counts),
        )
    return table


def _stages(levels: Sequence[Level]) -> Table:
    table = _table("where the time goes, mean ms", *(_clients(level) for level in levels))
    names = dict.fromkeys(name for level in levels for name in level.stages_ms)
    for name in names:
        table.add_row(name, *(f"{level.stages_ms.get(name, 0.0):,.1f}" for level in levels))
    table.add_section()
    means = (level.latency.mean_ms if level.latency else 0.0 for level in levels)
    table.add_row("all of it", *(f"{mean:,.1f}" for mean in means))
    return table


def _remarks(result: BenchResult) -> list[str]:
    best_raw = max(result.raw, key=lambda run: run.photos_per_second)
    best = max(result.http, key=lambda level: level.photos_per_second)
    share = best.photos_per_second / best_raw.photos_per_second
    beside = f", which ran {best_raw.lanes} batches at a time," if best_raw.lanes > 1 else ""
    remarks = [
        f"The service gives {share:.0%} of the raw session's throughput{beside} with {_clients(best)}, "
        f"who keep {best.client_cores:.2f} cores busy themselves."
    ]
    for level in result.http:
        for reason, count in level.refused.items():
            remarks.append(f"{_clients(level)}: {count:,} photos without a verdict, {reason}.")
        for reason, count in level.lost.items():
            remarks.append(f"{_clients(level)}: {count:,} connections lost, {reason}.")
        if level.late:
            remarks.append(f"{_clients(level)}: {level.late:,} verdicts came after the deadline.")
    return [*remarks, *_why_refused(result)]


def _why_refused(result: BenchResult) -> list[str]:
    """Which setting is behind the photos that were refused for their number."""
    codes = {reason.rpartition(" ")[2] for level in result.http for reason in level.refused}
    why = {
        "queue_full": f"the service takes {result.settings['queue_size']} photos at a time "
        "(GLINT_QUEUE_SIZE).",
        "queue_too_long": "the photos ahead would have taken longer than the deadline of "
        f"{result.deadline_ms} ms (--deadline-ms, GLINT_DEADLINE_MS).",
    }
    return [f"{code}: {reason}" for code, reason in why.items() if code in codes]


def _table(*headings: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", no_wrap=True)
    return table


def _latency(latency: Latency | None) -> tuple[str, str, str]:
    if latency is None:
        return "", "", ""
    return f"{latency.p50_ms:,.1f}", f"{latency.p95_ms:,.1f}", f"{latency.p99_ms:,.1f}"


def _clients(level: Level) -> str:
    return f"{level.clients} client{'s' if level.clients > 1 else ''}"
