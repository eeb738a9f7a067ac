"""Asks every server the same question in turn, round by round."""

import contextlib
import time
from collections.abc import Iterator

from benchmarks.figures import Figure
from benchmarks.peers import question, wire
from benchmarks.peers.candidates import BARE_JSON, BARE_NOTHING, OURS_BINARY, OURS_JSON, PEERS_BINARY, PEERS_JSON, PEERS_QUIET, Candidate
from benchmarks.peers.question import Question
from benchmarks.peers.running import free_ports, started
from benchmarks.peers.samples import Samples
from benchmarks.peers.servers import PEERS, launch
from benchmarks.plan import Plan
from benchmarks.processes import BenchmarkError, say

JSON_GOAL, BINARY_GOAL, ROW_GOAL = 1.7, 20, 5  # times the fastest peer's JSON
CONNECTIONS = 8
WARM_UP_SECONDS = 0.2


def measure_tensor(plan: Plan) -> list[Figure]:
    """A million float32 in, one number out: milliseconds from the first byte sent to the last byte of the answer."""
    asked = question.tensor()
    candidates = OURS_JSON + BARE_JSON + PEERS_JSON + OURS_BINARY + PEERS_BINARY
    samples = Samples(_of_peers(candidates, plan), "ms", more_is_better=False)
    with running(asked, samples) as ports:
        say(f"a million float32: {plan.tensor_rounds} rounds of {', '.join(each.name for each in samples.measured())}")
        samples.take_turns(lambda each: _milliseconds(ports[each.server], each.ask(asked).sent), plan.tensor_rounds)
    case = "1 M float32, JSON"
    figures = samples.figures(case, OURS_JSON + BARE_JSON + PEERS_JSON)
    figures += [samples.against(case, ours, PEERS_JSON, JSON_GOAL) for ours in OURS_JSON]
    case = "1 M float32, binary"
    figures += samples.figures(case, OURS_BINARY + PEERS_BINARY)
    figures += [samples.against(case, ours, PEERS_JSON, BINARY_GOAL) for ours in OURS_BINARY]
    return [*figures, samples.against(case, OURS_BINARY[0], PEERS_BINARY, None)]


def measure_row(plan: Plan) -> list[Figure]:
    """One row in JSON, eight connections: requests per second."""
    asked = question.row()
    samples = Samples(_of_peers(OURS_JSON + BARE_JSON + BARE_NOTHING + PEERS_JSON + PEERS_QUIET, plan), "1/s", more_is_better=True)

    def throughput(candidate: Candidate) -> float:
        port, sent = ports[candidate.server], candidate.ask(asked).sent
        wire.requests_per_second(port, sent, connections=CONNECTIONS, seconds=WARM_UP_SECONDS)
        return wire.requests_per_second(port, sent, connections=CONNECTIONS, seconds=plan.row_seconds)

    with running(asked, samples) as ports:
        say(f"one row: {plan.row_rounds} rounds of {', '.join(each.name for each in samples.measured())}")
        samples.take_turns(throughput, plan.row_rounds)
    case = f"one row, {CONNECTIONS} connections"
    figures = samples.figures(case, OURS_JSON + BARE_JSON + BARE_NOTHING + PEERS_JSON + PEERS_QUIET)
    figures += [samples.against(case, ours, PEERS_JSON, ROW_GOAL) for ours in OURS_JSON]
    return [*figures, samples.against(case, OURS_JSON[0], PEERS_QUIET, None)]


@contextlib.contextmanager
def running(asked: Question, samples: Samples) -> Iterator[dict[str, int]]:
    """The servers of the candidates, side by side and idle but for the one that is asked; gives their ports.

    Candidates whose server does not come up or does not answer right are dropped.
    """
    ports: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        starting = {}
        for name in dict.fromkeys(each.server for each in samples.measured()):
            with samples.noting(name):
                taken = free_ports(3)
                starting[name] = stack.enter_context(started(launch(name, asked, taken), taken[0]))
                ports[name] = taken[0]
        for name, server in starting.items():
            say(f"waiting for {name}")
            with samples.noting(name):
                server.wait()
        for each in samples.measured():
            with samples.noting(each), wire.Connection(ports[each.server]) as connection:
                call = each.ask(asked)
                call.check(connection.call(call.sent), asked)
        yield ports


def _milliseconds(port: int, sent: bytes) -> float:
    """The time of the second call on a new connection."""
    with wire.Connection(port) as connection:
        connection.call(sent)
        before = time.perf_counter_ns()
        answer = connection.call(sent)
        duration = time.perf_counter_ns() - before
    if answer.status != 200:
        raise BenchmarkError(f"it answered {answer.status}")
    return duration / 1e6


def _of_peers(candidates: tuple[Candidate, ...], plan: Plan) -> list[Candidate]:
    """Those of the peers that the plan names; all if it names none."""
    left_out = set(PEERS) - set(plan.peers) if plan.peers else set()
    return [candidate for candidate in candidates if candidate.server.split()[0] not in left_out]
