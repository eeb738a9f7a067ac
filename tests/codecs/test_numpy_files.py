"""NumPy's files in and out: every datatype both ways, nothing unpickled, nothing unpacked beyond what was declared."""

import io
import pickle
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.codecs import npy, npz
from app.codecs.byte_strings import bytes_of
from app.errors import BodyTooLarge, NotAcceptable, Problem, ResultTooLarge
from app.tensors import BY_NAME, DATATYPES, Signature, TensorSpec, bfloat16_bits, bfloat16_values
from tests.codecs.tensors import NO_PARAMETERS, TAG, arrays, call_for, echo, mutated, outcome, spec

IRIS = echo(spec("X", "FP32", "n", 2))
SEVERAL = echo(spec("X", "FP32", "n", 2), spec("s", "BYTES"), spec("i", "INT64"), spec("b", "BOOL"))


def saved(array: Any, *, allow_pickle: bool = False) -> bytes:
    """What np.save writes."""
    body = io.BytesIO()
    np.save(body, array, allow_pickle=allow_pickle)
    return body.getvalue()


def archived(*args: Any, compressed: bool = False, **arrays_by_name: Any) -> bytes:
    """What np.savez writes."""
    body = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(body, *args, **arrays_by_name)
    return body.getvalue()


def with_header(header: str, data: bytes = b"", version: int = 1) -> bytes:
    """A file with this header, whatever it says."""
    encoded = header.encode("latin-1")
    return b"\x93NUMPY" + bytes([version, 0]) + len(encoded).to_bytes(2 if version == 1 else 4, "little") + encoded + data


@settings(max_examples=300, deadline=None)
@given(data=st.data(), datatype=st.sampled_from(DATATYPES), shape=st.lists(st.integers(0, 3), max_size=4).map(tuple))
def test_what_is_written_is_read_back(data: st.DataObject, datatype: Any, shape: tuple[int, ...]) -> None:
    """decode(encode(x)) == x to the last bit for every datatype and shape, in both files, NaN and infinity too; np.load reads the same."""
    text = st.text(st.characters(codec="utf-8"), max_size=4).map(lambda s: s.rstrip("\0"))
    values = data.draw(arrays(datatype, shape, text=text, finite=False))
    signature = echo(TensorSpec("x", datatype, None))
    call = call_for({"x": values}, signature)

    for codec in (npy, npz):
        body, content_type = codec.encode(call, signature, TAG, {"x": values})
        found: Any = codec.decode(body, NO_PARAMETERS, signature).inputs["x"]
        loaded = np.load(io.BytesIO(body), allow_pickle=False)
        assert f"application/x-{codec.__name__[-3:]}" == content_type
        for array in (found, loaded if codec is npy else loaded["x"]):
            assert (shape, values.dtype if datatype.name != "BYTES" else array.dtype) == (array.shape, array.dtype)
            assert [repr(x) for x in values.reshape(-1).tolist()] == [repr(x) for x in array.reshape(-1).tolist()]


def test_bytes_that_are_no_text() -> None:
    """Bytes that are no UTF-8 come in and go out as NumPy's byte strings."""
    signature = echo(spec("s", "BYTES"))
    values = np.array([b"a\xff", b"\x00\x01"])
    found: Any = npy.decode(saved(values), NO_PARAMETERS, signature).inputs["s"]

    assert values.tolist() == [bytes_of(item) for item in found.tolist()]
    written = npy.encode(call_for({"s": found}, signature), signature, TAG, {"s": found}).body
    assert values.tolist() == np.load(io.BytesIO(written)).tolist()


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """A file of Python objects is refused by its header, alone and in an archive; what it would run does not run."""
    trap = tmp_path / "opened"
    array = np.array([Trap(str(trap))], object)
    member = saved(array, allow_pickle=True)
    assert b"pathlib" in member

    assert "wrong-datatype" == outcome(npy.decode, member, IRIS)
    assert "wrong-datatype" == outcome(npz.decode, archived(X=array), IRIS)
    assert not trap.exists()
    pickle.loads(pickle.dumps(array))
    assert trap.exists()


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.path),)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1, 2], [3, 4]], ">f4"),
        np.array([[1, 2], [3, 4]], np.float64),
        np.array([[1, 2], [3, 4]], np.float16),
        np.array([[1, 2], [3, 4]], ">i8"),
        np.array([[1, 2], [3, 4]], np.uint8),
        np.array([[1, 2], [3, 4]], np.float32, order="F"),
        np.array([[1, 3], [2, 4]], np.float64).T,
    ],
)
def test_arrays_as_numpy_saves_them(array: np.ndarray) -> None:
    """Any width, byte order and memory order of numbers becomes the model's, if the numbers fit."""
    found: Any = npy.decode(saved(array), NO_PARAMETERS, IRIS).inputs["X"]

    assert (np.float32, [[1, 2], [3, 4]], True) == (found.dtype, found.tolist(), found.flags.c_contiguous)


@pytest.mark.parametrize(
    ("values", "datatype", "expected"),
    [
        ([0.1], "FP32", [0.10000000149011612]),
        ([65519.0], "FP16", [65504.0]),
        ([65520.0], "FP16", "out-of-range"),
        ([1e39], "FP32", "out-of-range"),
        ([3.4e38], "BF16", "out-of-range"),
        ([np.float16(1.5)], "FP64", [1.5]),
        ([2**63], "INT64", "out-of-range"),
        ([2**63 - 1], "INT64", [2**63 - 1]),
        ([-1], "UINT8", "out-of-range"),
        ([256], "UINT8", "out-of-range"),
        ([-129, 5], "INT8", "out-of-range"),
        ([2**64 - 1], "INT8", "out-of-range"),
        ([3.0], "INT32", [3]),
        ([3.5], "INT32", "out-of-range"),
        ([float(2**63)], "INT64", "out-of-range"),
        ([float(-(2**63))], "INT64", [-(2**63)]),
        ([np.nan], "INT32", "not-finite"),
        ([np.inf], "INT32", "not-finite"),
        ([True], "FP32", "wrong-datatype"),
        ([1], "BOOL", "wrong-datatype"),
        (["a"], "FP32", "wrong-datatype"),
        ([1], "BYTES", "wrong-datatype"),
        ([1 + 1j], "FP32", "wrong-datatype"),
    ],
)
def test_numbers_are_kept_or_refused(values: list[Any], datatype: str, expected: Any) -> None:
    """Numbers are rounded to a float's width and never to infinity; integers are whole and in range; booleans are no numbers."""
    found = outcome(npy.decode, saved(np.array(values)), echo(spec("x", datatype)))

    assert expected == (found["x"] if isinstance(found, dict) else found)


def test_the_value_that_does_not_fit_is_named() -> None:
    """A refusal says the input, the position, the value and the limits."""
    with pytest.raises(Problem) as raised:
        npy.decode(saved(np.array([[1, 2], [3, 300]])), NO_PARAMETERS, echo(spec("x", "UINT8", "n", 2)))

    assert "input 'x' at [1][1] is 300; the model expects a whole number (UINT8) from 0 to 255." == raised.value.detail


def test_nan_in_binary() -> None:
    """NaN comes in, unless model.toml refuses it in every format."""
    body = saved(np.array([[1, np.nan]]))

    assert "not-finite" == outcome(npy.decode, body, echo(*IRIS.inputs, nan_input="refuse"))
    for nan_input in ("binary", "allow"):
        found: Any = npy.decode(body, NO_PARAMETERS, echo(*IRIS.inputs, nan_input=nan_input)).inputs["X"]
        assert np.isnan(found[0, 1])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "unreadable-request"),
        (b"\x93NUMPY\x01\x00\xff\xff", "unreadable-request"),
        (b"\x93NUMPY\x04\x00\x00\x00", "unreadable-request"),
        (saved(np.zeros((2, 2)))[:-1], "unreadable-request"),
        (saved(np.zeros((2, 2))) + b"x", "unreadable-request"),
        (saved(np.zeros(2, "f4,f4")), "unreadable-request"),
        (saved(np.zeros(2, "M8[s]")), "wrong-datatype"),
        (saved(np.zeros((2, 3))), "wrong-shape"),
        (with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000, 2), }"), "unreadable-request"),
        (with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 1" + "0" * 300 + "), }"), "unreadable-request"),
        (with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "0, " * 65 + "), }"), "unreadable-request"),
        (with_header("{'descr': '<U0', 'fortran_order': False, 'shape': (10000000000,), }"), "wrong-datatype"),
        (with_header("{'descr': '<U999999999', 'fortran_order': False, 'shape': (1,), }"), "wrong-datatype"),
        (with_header("{'descr': '<U99999999', 'fortran_order': False, 'shape': (1,), }"), "unreadable-request"),
        (with_header("{'descr': '|b1', 'fortran_order': False, 'shape': (1, 2), }", b"\x01\x07"), "out-of-range"),
        (with_header("{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }", b"\xff" * 4), "unreadable-request"),
        (with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), 'more': 1}", bytes(8)), "unreadable-request"),
        (with_header("{'descr': '<f4', 'fortran_order': False, }"), "unreadable-request"),
        (with_header("__import__('os').system('true')"), "unreadable-request"),
        (with_header(" " * 5000), "unreadable-request"),
    ],
)
def test_what_is_no_array_is_refused(body: bytes, code: str) -> None:
    """A header that lies about the size, is code, or is none of a plain array is refused before anything is allocated."""
    assert code == outcome(npy.decode, body, IRIS)


def test_headers_keys_may_stand_in_any_order() -> None:
    """A reader must not rely on the order in which NumPy writes the header's keys; later versions have longer ones."""
    header = '{"shape":(1,2), \'fortran_order\': True,"descr": "<f8"}\n'
    for version in (1, 2, 3):
        assert {"X": [[1, 2]]} == outcome(npy.decode, with_header(header, struct.pack("<2d", 1, 2), version), IRIS)


def test_half_a_surrogate_pair_is_no_text() -> None:
    """NumPy's strings can hold what Unicode text cannot."""
    assert "wrong-datatype" == outcome(npy.decode, saved(np.array(["\ud800"])), echo(spec("s", "BYTES")))


def test_npy_is_for_models_of_one_input() -> None:
    """A model of several inputs takes an archive; an optional one beside may be left out; a sequence comes in JSON."""
    optional = TensorSpec("o", BY_NAME["FP32"], ("n",), optional=True)

    assert "invalid-request" == outcome(npy.decode, saved(np.zeros((1, 2))), SEVERAL)
    assert {"X": [[0, 0]], "o": None} == outcome(npy.decode, saved(np.zeros((1, 2))), echo(*IRIS.inputs, optional))
    assert {"o": [0]} == outcome(npy.decode, saved(np.zeros(1)), echo(optional))
    assert "invalid-request" == outcome(npy.decode, saved(np.zeros(1)), echo(TensorSpec("x", BY_NAME["FP32"], None, sequence=True)))


@pytest.mark.parametrize("compressed", [False, True])
def test_archives(compressed: bool) -> None:
    """Arrays by input name, compressed or not; an array without a name is the only input's."""
    body = archived(compressed=compressed, X=np.ones((2, 2)), s=np.array(["a", "ü"]), i=np.array([1, 2]), b=np.array([True, False]))

    assert {"X": [[1, 1], [1, 1]], "s": ["a", "ü"], "i": [1, 2], "b": [True, False]} == outcome(npz.decode, body, SEVERAL)
    assert {"X": [[1, 1]]} == outcome(npz.decode, archived(np.ones((1, 2)), compressed=compressed), IRIS)
    assert "unknown-input" == outcome(npz.decode, archived(x=np.ones((1, 2))), IRIS)
    assert "missing-input" == outcome(npz.decode, archived(X=np.ones((1, 2))), SEVERAL)


def entries(*members: tuple[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP of these files."""
    body = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(body, "w", how) as archive:
        # a name that stands twice
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(name, content)
    return body.getvalue()


def test_archives_members_are_checked() -> None:
    """A file twice, one that is no array, one that leads elsewhere, one packed otherwise, and a damaged archive are refused."""
    array = saved(np.ones((1, 2)))
    damaged = bytearray(entries(("X.npy", array)))
    damaged[60] ^= 0xFF

    assert "invalid-request" == outcome(npz.decode, entries(("X.npy", array), ("X.npy", array)), IRIS)
    assert "invalid-request" == outcome(npz.decode, entries(("X.txt", array)), IRIS)
    assert "unknown-input" == outcome(npz.decode, entries(("../X.npy", array)), IRIS)
    assert "invalid-request" == outcome(npz.decode, entries(("X.npy", array), how=zipfile.ZIP_LZMA), IRIS)
    assert "unreadable-request" == outcome(npz.decode, bytes(damaged), IRIS)
    assert "unreadable-request" == outcome(npz.decode, b"PK\x05\x06" + bytes(10), IRIS)
    assert "unreadable-request" == outcome(npz.decode, b"PK\x01\x02" * 5000, IRIS)


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    """An archive that declares more than is taken is refused, and one that declares less than it holds is damaged."""
    bomb = archived(compressed=True, X=np.zeros((70 * 1024 * 1024, 2), np.uint8))
    assert len(bomb) < 200_000

    with pytest.raises(BodyTooLarge):
        npz.decode(bomb, NO_PARAMETERS, IRIS)
    size = struct.pack("<I", 70 * 1024 * 1024 * 2 + 128)
    assert bomb.count(size) >= 1
    assert "unreadable-request" == outcome(npz.decode, bomb.replace(size, struct.pack("<I", 1000)), IRIS)


def test_the_output_must_be_one() -> None:
    """Of several outputs an .npy holds the one that was chosen, and says how to choose; class labels do not count; an .npz holds all."""
    signature = Signature((spec("x"),), (spec("p", "FP32", "n", 2), spec("p_labels", "INT64", 2)), constant_outputs=frozenset({"p_labels"}))
    outputs = {"p": np.ones((1, 2), np.float32), "p_labels": np.array([0, 1]), "q": np.zeros(1)}
    call = call_for({"x": np.zeros(1)}, signature)

    assert [[1, 1]] == np.load(io.BytesIO(npy.encode(call, signature, TAG, outputs).body)).tolist()
    assert [0, 1] == np.load(io.BytesIO(npy.encode(call._replace(outputs=("p_labels",)), signature, TAG, outputs).body)).tolist()
    assert {"p", "p_labels"} == set(np.load(io.BytesIO(npz.encode(call, signature, TAG, outputs).body)))
    with pytest.raises(NotAcceptable, match=r"has p, q; choose one with \?outputs=q"):
        npy.encode(call._replace(outputs=("p", "p_labels", "q")), signature, TAG, outputs)


@pytest.mark.parametrize(
    ("value", "more", "kind"),
    [
        ([np.zeros(1)], {}, NotAcceptable),
        (None, {}, NotAcceptable),
        (np.zeros((1, 2)), {"top_k": 1}, NotAcceptable),
        (np.array(["a\0"], object), {}, NotAcceptable),
        (np.array(["\U0010ffff\0"], object), {}, NotAcceptable),
        (np.array(["x" * 1_000_000, *[""] * 100], object), {}, ResultTooLarge),
    ],
    ids=["sequence", "nothing", "top_k", "NUL at the end", "NUL at the end of bytes", "fixed width"],
)
def test_answers_that_numpy_cannot_hold(value: Any, more: dict[str, Any], kind: type[Problem]) -> None:
    """Sequences, empty optionals, rankings, strings that would lose their end, and a fixed width that would fill the memory are refused."""
    signature = echo(TensorSpec("x", BY_NAME["FP32"], None))
    for codec in (npy, npz):
        with pytest.raises(kind):
            codec.encode(call_for({"x": value}, signature, **more), signature, TAG, {"x": value})


def test_bfloat16_is_written_as_float32() -> None:
    """NumPy has no bfloat16: its values are float32's, exactly."""
    signature = echo(spec("x", "BF16"))
    values = bfloat16_values(bfloat16_bits(np.array([0.1, -3e38], np.float32)))

    assert (
        values.tobytes()
        == np.load(io.BytesIO(npy.encode(call_for({"x": values}, signature), signature, TAG, {"x": values}).body)).tobytes()
    )


SEEDS = [saved(np.ones((2, 2), kind)) for kind in ("f4", ">f8", "i2", "S3", "U2", "?")]
ARCHIVES = [archived(X=np.ones((1, 2))), archived(np.ones((1, 2)), compressed=True), archived(X=np.ones((1, 2)), s=np.array(["a"]))]


@settings(max_examples=600, deadline=None)
@given(
    body=st.binary(max_size=60) | mutated([*SEEDS, *ARCHIVES]), signature=st.sampled_from([IRIS, SEVERAL, echo(spec("s", "BYTES", "n", 2))])
)
def test_any_bytes_are_arrays_or_a_problem_of_ours(body: bytes, signature: Signature) -> None:
    """Arbitrary bytes and damaged files never raise anything but our errors."""
    assert outcome(npy.decode, body, signature)
    assert outcome(npz.decode, body, signature)
