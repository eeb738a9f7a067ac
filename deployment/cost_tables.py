"""The tables of docs/deploy.md that costs.py computes."""

from collections.abc import Iterator

from deployment.costs import WHOLE_CPU_MB, Work, billed_ms, idle, kept_ready, lines, money, predicting, table

# Milliseconds of one vCPU: the small models of this repository with all that is around them, and a large one.
LIGHT_MS, HEAVY_MS = 2.0, 100.0
MEMORIES = (512, WHOLE_CPU_MB, 3538)
ARCHITECTURES = ("x86_64", "arm64")
MILLION = 1_000_000
# Options that cost something by themselves, each alone.
OPTIONS = {
    "nothing switched on": {},
    "`Jobs=on`": {"Jobs": "on"},
    "`Events=on`": {"Events": "on"},
    "`Inbox=on`": {"Inbox": "on"},
    "`Batch=on`": {"Batch": "on"},
    "`Alarms=on`": {"Alarms": "on"},
    "`Dashboard=on`": {"Dashboard": "on"},
    "`Release=Canary10Percent5Minutes`": {"Release": "Canary10Percent5Minutes"},
    "`ProvisionedConcurrency=1`": {"ProvisionedConcurrency": "1"},
}


def tables() -> str:
    """Everything between the page's marks."""
    found = table()
    stated = f"USD a month at the prices of {found['region']} of {found['as_of']} (`deployment/prices.json`), without AWS's free tier."
    return "\n".join([stated, "", *_idle(), "", *_predicting(), "", *_parts()])


def _idle() -> Iterator[str]:
    nothing = sum(idle({}).values())
    yield "**Idle.** Nobody calls; each option beside nothing else:"
    yield ""
    yield "| Stack | USD a month | of which |"
    yield "|---|--:|---|"
    for name, parameters in OPTIONS.items():
        parts = idle(parameters)
        told = ", ".join(f"{part} {money(usd)}" for part, usd in parts.items())
        yield f"| {name} | {money(sum(parts.values()) - (nothing if parameters else 0))} | {told} |"
    yield f"| `KeyArn` (a KMS key of yours) | {money(table()['prices']['key_month'])} | and 0.03 for 10,000 requests |"


def _predicting() -> Iterator[str]:
    yield "**Predicting.** Everything of a prediction over the HTTP API, by memory and processor:"
    yield ""
    yield "| Memory | Processor | billed, light | 1 M light | 100 M light | billed, heavy | 1 M heavy | 100 M heavy |"
    yield "|--:|---|--:|--:|--:|--:|--:|--:|"
    for memory in MEMORIES:
        for architecture in ARCHITECTURES:
            cells = []
            for cpu_ms in (LIGHT_MS, HEAVY_MS):
                works = [Work(count, cpu_ms, memory, architecture) for count in (MILLION, 100 * MILLION)]
                cells += [f"{billed_ms(works[0])} ms", *(money(sum(predicting(work).values())) for work in works)]
            yield f"| {memory} MB | {architecture} | {' | '.join(cells)} |"


def _parts() -> Iterator[str]:
    count = 100 * MILLION
    yield f"**What 100 M light predictions are paid for**, with {WHOLE_CPU_MB} MB on x86_64:"
    yield ""
    yield "| Part | USD a month |"
    yield "|---|--:|"
    yield from lines(predicting(Work(count, LIGHT_MS)))
    yield ""
    ready = " or ".join(f"{money(kept_ready(architecture=one))} ({one})" for one in ARCHITECTURES)
    rest = predicting(Work(count, LIGHT_MS, api="REST"))["API Gateway"] - predicting(Work(count, LIGHT_MS))["API Gateway"]
    yield f"A REST API instead adds {money(rest)}; an environment that is always ready costs {ready} and takes its predictions at a lower rate."
