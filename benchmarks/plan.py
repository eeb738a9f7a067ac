"""How often each thing is measured, in a full run and in a quick one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Rounds, and the seconds after which a series of them is cut short."""

    starts: int
    slow_starts: int  # under the CPU quota, and with the page cache dropped
    seconds: float
    warm_batches: int
    warm_calls: int  # in one batch
    json_rounds: int
    binary_rounds: int
    delivery_rounds: int
    file_rounds: int
    tensor_rounds: int  # against other servers
    row_rounds: int
    row_seconds: float
    peers: tuple[str, ...] = ()  # those of the other servers to measure; all if empty


FULL = Plan(
    starts=31,
    slow_starts=11,
    seconds=75,
    warm_batches=101,
    warm_calls=100,
    json_rounds=15,
    binary_rounds=51,
    delivery_rounds=51,
    file_rounds=7,
    tensor_rounds=21,
    row_rounds=15,
    row_seconds=1,
)
QUICK = Plan(
    starts=3,
    slow_starts=2,
    seconds=10,
    warm_batches=5,
    warm_calls=100,
    json_rounds=3,
    binary_rounds=5,
    delivery_rounds=5,
    file_rounds=1,
    tensor_rounds=2,
    row_rounds=2,
    row_seconds=0.3,
)
