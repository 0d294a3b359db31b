"""`make chaos`: faults drawn from a seed against the whole system under load; nothing lost, doubled or stuck."""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from chaos import disk
from chaos.draw import KINDS, NEED_A_DISK, Planned, draw
from chaos.memory import Memory
from chaos.report import print_report
from chaos.run import Run
from chaos.stage import Load, staged
from chaos.verdict import judge
from local import process
from local.console import wants_colour
from local.errors import Refusal

EXIT_VIOLATIONS = 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=100, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="draws the faults (default: %(default)s)")
    parser.add_argument("--only", metavar="KIND", nargs="+", help=f"draw of these only: {', '.join(KINDS)}")
    parser.add_argument("--rate", type=float, default=Load.rate, help="checkouts per second (default: %(default)s)")
    parser.add_argument("--speed", type=float, default=Load.speed, help="divides delays (default: %(default)s)")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="no faults, so long, at the default rate")
    parser.add_argument("--keep", action="store_true", help="keep logs and data even if all is well")
    options = parser.parse_args()
    for kind in options.only or ():
        if kind not in KINDS:
            parser.error(f"there is no {kind}: give some of {', '.join(KINDS)}")
    if options.faults < 0 or options.rate <= 0 or options.speed <= 0:
        parser.error("--faults, --rate and --speed must be above 0")
    return options


def main() -> int:
    options, console = arguments(), _console()
    kinds = set(options.only or KINDS)
    if not disk.allowed() and kinds & NEED_A_DISK:
        console.print("left out of the draw: a full disk, because this user may not mount a file system")
        kinds -= NEED_A_DISK
    plan = [] if options.soak else draw(options.seed, options.faults, kinds)
    load = Load(10.0, 1.0, 0.07) if options.soak else Load(options.rate, options.speed)
    home = Path(tempfile.mkdtemp(prefix=f"chaos-{options.seed}-"))
    console.print(f"seed {options.seed}, {len(plan)} faults; logs and data: {home}", highlight=False)
    violations = _run(home, load, plan, options.soak, console)
    if violations:
        again = " ".join(["make chaos", f"FAULTS={options.faults}", f"SEED={options.seed}", *_further(options)])
        console.print(f"{len(violations)} violations; logs and data are in {home}; to repeat it: {again}")
        return EXIT_VIOLATIONS
    console.print(f"seed {options.seed}, {len(plan)} faults: nothing lost, nothing doubled, nothing stuck")
    if options.keep:
        console.print(f"logs and data are in {home}")
    else:
        shutil.rmtree(home)
    return 0


def _run(home: Path, load: Load, plan: Sequence[Planned], soak: float | None, console: Console) -> list[str]:
    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False)

    small_disks = any(one.kind in NEED_A_DISK for one in plan)
    with staged(home, load, say, small_disks=small_disks) as stage:
        memory = Memory(lambda: stage.everyone)
        memory.start()
        run = Run(stage, plan)
        if not run.until_flowing():
            raise Refusal(f"the services do not get going: see {stage.logs}")
        say(f"all services at work; {stage.record.chains.in_flight:,} orders in flight")
        run.play()
        if soak:
            time.sleep(soak * 60)
        in_flight = stage.record.chains.in_flight
        say(f"the load ends after {time.time() - run.began:.0f} s, {in_flight:,} orders in flight")
        verdict = judge(stage, run, settled=run.settle())
        memory.close()
        print_report(console, stage, run, memory, verdict)
    return verdict.violations


def _console() -> Console:
    terminal = sys.stdout.isatty()
    return Console(
        width=None if terminal else 160,
        color_system="standard" if wants_colour() else None,
        force_terminal=terminal,
    )


def _further(options: argparse.Namespace) -> list[str]:
    given = [f"--only {' '.join(options.only)}"] if options.only else []
    given += [f"--rate {options.rate}"] if options.rate != Load.rate else []
    given += [f"--speed {options.speed}"] if options.speed != Load.speed else []
    return [f"ARGS='{' '.join(given)}'"] if given else []


if __name__ == "__main__":
    sys.exit(process.run(main))
