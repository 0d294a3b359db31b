"""What a run looked like: the time line, the percentiles, the stalls, the memory."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from chaos.faults.fault import Figure
from chaos.memory import Memory
from chaos.progress import percentile
from chaos.run import Happened, Run, shown
from chaos.stage import SERVICES, Stage
from chaos.verdict import Verdict

SHARES = (0.5, 0.9, 0.99, 1.0)


def print_report(console: Console, stage: Stage, run: Run, memory: Memory, verdict: Verdict) -> None:
    if run.happened:
        console.print(_time_line(stage, run))
        console.print(_figures(run.happened))
    console.print(_services(stage, run, memory, verdict))
    console.print(verdict.audit, highlight=False, markup=False)
    for violation in verdict.violations:
        console.print(f"[red]violation[/]: {violation}", highlight=False)


def samples(happened: Iterable[Happened]) -> dict[Figure, list[float]]:
    """Seconds to recover, of the services that each promise is about, where nothing else happened meanwhile."""
    found: dict[Figure, list[float]] = {}
    for one in happened:
        fault = one.planned.fault
        if fault.figure is not None and one.alone:
            seconds = [one.recovered[service] for service in fault.judged]
            found.setdefault(fault.figure, []).append(max(float("inf") if it is None else it for it in seconds))
    return found


def _time_line(stage: Stage, run: Run) -> Table:
    table = Table(title="seconds to recover, per service", box=None, padding=(0, 1), header_style="bold")
    for name in ("", "at", "lasts", *SERVICES):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("fault", no_wrap=True)
    table.add_column("ended by it")
    exits = sorted((end for instance in stage.everyone for end in instance.exits), key=lambda end: end.at)
    happened = run.happened
    for one, after in zip(happened, [*(later.struck for later in happened[1:]), run.ended], strict=True):
        ended = [f"{end.name} ({end.code})" for end in exits if one.struck <= end.at < after]
        table.add_row(
            str(one.planned.number),
            f"{one.struck - run.began:.0f}",
            f"{one.mended - one.struck:.0f}",
            *(shown(one.recovered[service]) for service in SERVICES),
            str(one.planned.fault) + ("" if one.alone else " *"),
            ", ".join(ended),
        )
    table.caption = "*: with another one; not in the percentiles"
    return table


def _figures(happened: list[Happened]) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column("seconds to recover", no_wrap=True)
    for name in ("faults", *(f"p{share * 100:.0f}" for share in SHARES), "promised p99"):
        table.add_column(name, justify="right", no_wrap=True)
    for figure, seconds in samples(happened).items():
        kept = percentile(seconds, 0.99) <= figure.seconds
        table.add_row(
            figure.name,
            str(len(seconds)),
            *(f"{percentile(seconds, share):.1f}" for share in SHARES),
            f"{figure.seconds:.0f} [{'green' if kept else 'red'}]{'kept' if kept else 'missed'}[/]",
        )
    return table


def _services(stage: Stage, run: Run, memory: Memory, verdict: Verdict) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for name in ("service", "longest stall", "from", "in", "exits", "by itself", "memory", "growth"):
        table.add_column(name, no_wrap=True)
    for service in SERVICES:
        stall = stage.progress.longest_stall(service, run.began, run.ended)
        exits = [end for one in stage.everyone if one.service == service for end in one.exits if end.at < run.ended]
        growth = memory.growth(service)
        table.add_row(
            service,
            f"{stall.seconds:.1f} s",
            f"{stall.since - run.began:.0f} s",
            f"{stall.topic_partition.topic}/{stall.topic_partition.partition}",
            str(len(exits)),
            str(sum(not end.asked for end in exits)),
            f"{memory.largest(service) / 2**20:.0f} MB",
            "-" if growth is None else f"{growth:+.1%}",
        )
    rows = sum(stage.record.rows.values())
    table.caption = (
        f"{rows:,} events, {stage.injections.count} injected messages, "
        f"{stage.record.chains.entities('order'):,} orders; ended by the watchdog: {verdict.hung}"
    )
    return table
