"""ONNX's own backend test cases over HTTP: what ONNX Runtime answers, a caller gets."""

from collections.abc import Iterator

import httpx
import pytest

from tests import graphs
from tests.backend import wire
from tests.backend.cases import Case, all_cases, equal
from tests.backend.report import DOCUMENT, document
from tests.shells import server

# NaN and infinity are values like others in these cases.
MANIFEST = '[nan]\ninput = "allow"\noutput = "string"\n'


@pytest.fixture(scope="module")
def cases() -> tuple[Case, ...]:
    """The cases that ONNX Runtime itself passes and that a wire format can carry."""
    return tuple(case for case in all_cases() if not case.left_out)


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory, cases: tuple[Case, ...]) -> Iterator[httpx.Client]:
    """A real server that has every case's model."""
    models = tmp_path_factory.mktemp("backend")
    for case in cases:
        graphs.put(models, case.name, case.model, toml=MANIFEST)
    with server(models, fast_lane=True, PRELOAD_MODELS="none") as client:
        yield client


def failures(http: httpx.Client, cases: tuple[Case, ...], *, binary: bool) -> dict[str, str]:
    """The cases whose answer is an error or another than the case's own, and why."""
    found: dict[str, str] = {}
    for case in cases:
        for given, wanted in case.data_sets:
            try:
                if not (wire.is_tensors(given) and wire.is_tensors(wanted)):
                    answer = wanted if binary else wire.json_values(http, case.name, given, wanted)
                else:
                    answer = (wire.binary if binary else wire.json_tensors)(http, case.name, given)
                wrong = [name for name, value in wanted.items() if not equal(case, answer[name], value)]
            except AssertionError as error:
                found[case.name] = str(error)
            else:
                if wrong:
                    found[case.name] = f"{wrong[0]}: {answer[wrong[0]]!r:.200} instead of {wanted[wrong[0]]!r:.200}"
    return found


def test_json(http: httpx.Client, cases: tuple[Case, ...]) -> None:
    """Every case that ONNX Runtime passes has the same answer in JSON."""
    assert {} == failures(http, cases, binary=False)


def test_binary(http: httpx.Client, cases: tuple[Case, ...]) -> None:
    """Every case that ONNX Runtime passes, and that has tensors alone, has the same answer in raw tensors."""
    assert {} == failures(http, cases, binary=True)


def test_nothing_is_left_out_in_silence() -> None:
    """The document counts the cases that pass, and names each that is left out with its reason."""
    assert document() == DOCUMENT.read_text()
