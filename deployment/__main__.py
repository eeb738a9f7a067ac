"""`python -m deployment`: write the diagram, the parameters and the costs into docs/; `python -m deployment costs`: those of another load."""

import argparse
import sys
from pathlib import Path

from deployment.cost_tables import tables
from deployment.costs import WHOLE_CPU_MB, Work, billed_ms, idle, lines, predicting, table
from deployment.diagram import diagram
from deployment.pages import written_into
from deployment.parameters import parameters
from local.template import ROOT

# Page, the mark's name, and what stands there.
DEPLOY, ARCHITECTURE = ROOT / "docs" / "deploy.md", ROOT / "docs" / "architecture.md"
PAGES = ((DEPLOY, "parameters", parameters), (DEPLOY, "costs", tables), (ARCHITECTURE, "diagram", diagram))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m deployment", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where a page is not current")
    commands = parser.add_subparsers(dest="command")
    costs = commands.add_parser("costs", help="what a load of yours costs a month")
    costs.add_argument("--predictions", type=int, default=1_000_000, help="a month (1,000,000)")
    costs.add_argument("--ms", type=float, default=2.0, help="of one vCPU for a prediction (2)")
    costs.add_argument("--memory", type=int, default=WHOLE_CPU_MB, help=f"of the function in MB ({WHOLE_CPU_MB})")
    costs.add_argument("--architecture", choices=["x86_64", "arm64"], default="x86_64")
    costs.add_argument("--api", choices=["HTTP", "REST"], default="HTTP")
    costs.add_argument("--with", dest="given", nargs="*", default=[], metavar="NAME=VALUE", help="parameters of the stack, such as Jobs=on")
    return parser.parse_args()


def print_costs(chosen: argparse.Namespace) -> None:
    """The table of one load."""
    work = Work(chosen.predictions, chosen.ms, chosen.memory, chosen.architecture, chosen.api)
    parameters = dict(one.split("=", 1) for one in chosen.given)
    found = {**predicting(work), **{f"idle: {part}": usd for part, usd in idle({"ApiType": work.api, **parameters}).items()}}
    print(f"USD a month, {table()['region']}, prices of {table()['as_of']}; {billed_ms(work)} ms billed for a prediction")
    print("\n".join(lines(found)))


def write_pages(*, check: bool) -> list[Path]:
    """Bring the pages up to date, unless only asked; those that were not."""
    stale = []
    for page, mark, made in PAGES:
        before = page.read_text()
        after = written_into(before, mark, made())
        if before != after:
            if page not in stale:
                stale.append(page)
            if not check:
                page.write_text(after)
    return stale


def main() -> None:
    """Do what the command line says."""
    chosen = arguments()
    if chosen.command == "costs":
        print_costs(chosen)
        return
    stale = write_pages(check=chosen.check)
    for page in stale:
        print(f"{page.relative_to(ROOT)}: {'not current; run make pages' if chosen.check else 'written'}")
    sys.exit(1 if stale and chosen.check else 0)


if __name__ == "__main__":
    main()
