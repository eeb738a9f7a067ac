"""Which servers are asked what, in which dialect."""

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.peers import dialects
from benchmarks.peers.dialects import Call
from benchmarks.peers.question import Question
from benchmarks.peers.servers import BARE, OURS, QUIET, label


class Candidate(NamedTuple):
    """A server and the dialect it is spoken to in."""

    server: str
    interface: str  # which of its interfaces; empty if it has but one
    ask: Callable[[Question], Call]

    @property
    def name(self) -> str:
        """As the table shows it."""
        return f"{label(self.server)} {self.interface}".rstrip()


OURS_JSON = (
    Candidate(OURS, "/predict", dialects.predict),
    Candidate(OURS, "v2", dialects.v2),
    Candidate(OURS, "v1", dialects.v1),
)
PEERS_JSON = (
    Candidate("kserve", "v1", dialects.v1_instances),
    Candidate("kserve", "v2", dialects.v2),
    Candidate("mlserver", "", dialects.v2),
    Candidate("bentoml", "", dialects.by_name),
    Candidate("litserve", "", dialects.by_name),
)
OURS_BINARY = (
    Candidate(OURS, "v2 binary", dialects.v2_binary),
    Candidate(OURS, "/predict NPY", dialects.npy),
)
# The only peer that takes the binary extension over HTTP.
PEERS_BINARY = (Candidate("kserve", "v2 binary", dialects.v2_binary),)
# For comparison only: the goals are over the peers as they come.
PEERS_QUIET = (Candidate(QUIET, "v1", dialects.v1_instances),)
BARE_JSON = (Candidate(BARE, "and pysimdjson", dialects.predict),)
BARE_NOTHING = (Candidate(BARE, "without a model", dialects.nothing),)
