"""Open Inference v2, JSON and binary, beyond what a request over HTTP reaches: every datatype and shape, and any bytes at all."""

import json
import math
import struct
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.codecs import BINARY, binary_tensors, open_inference
from app.codecs.byte_strings import bytes_of, text_of
from app.codecs.call import Call, ModelTag
from app.codecs.classification import classes
from app.errors import Invalid, OutOfRange, Problem, Unreadable, WrongShape
from app.tensors import BY_NAME, DATATYPES, Datatype, Signature, TensorSpec, bfloat16_bits

TAG = ModelTag("m", "1", "sha256:0")
SIZE = "json-header-size"
FLOATS = TensorSpec("x", BY_NAME["FP32"], ("n",))
shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)


def signature_of(*specs: TensorSpec, **more: Any) -> Signature:
    return Signature(specs, specs, **more)


def framed(document: Any, *raw: bytes) -> tuple[bytes, dict[str, str]]:
    """A binary body and the parameters of its content type."""
    header = json.dumps(document).encode()
    return b"".join([header, *raw]), {SIZE: str(len(header))}


def listed(name: str = "x", shape: Any = (1,), datatype: str = "FP32", **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "datatype": datatype, **more}


def raw(name: str, shape: Any, datatype: str, content: bytes) -> dict[str, Any]:
    return listed(name, shape, datatype, parameters={"binary_data_size": len(content)})


def decoded(document: Any, *specs: TensorSpec, content: bytes = b"", **more: Any) -> Call:
    body, parameters = framed(document, content)
    return open_inference.decode(body, parameters if content else {}, signature_of(*(specs or (FLOATS,)), **more))


@st.composite
def tensors(draw: st.DrawFn, datatype: Datatype) -> np.ndarray:
    """Any tensor of a datatype as it is in the program: every bit pattern of numbers, any bytes in BYTES."""
    shape = draw(shapes)
    size = math.prod(shape)
    if datatype.kind == "string":
        found = np.empty(size, np.object_)
        found[:] = [text_of(item) for item in draw(st.lists(st.binary(max_size=6), min_size=size, max_size=size))]
        return found.reshape(shape)
    if datatype.kind == "bool":
        return np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)), np.bool_).reshape(shape)
    content = draw(st.binary(min_size=size * datatype.item_bytes, max_size=size * datatype.item_bytes))
    if datatype.name == "BF16":
        return (np.frombuffer(content, np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)
    return np.frombuffer(content, datatype.numpy).reshape(shape)


def answer_as_request(array: np.ndarray, datatype: Datatype, *, as_binary: bool) -> tuple[bytes, dict[str, str], Signature]:
    """What ``encode`` writes of one tensor, turned into a request that sends it."""
    spec = TensorSpec("x", datatype, None)
    signature = signature_of(spec)
    call = open_inference.decode(
        json.dumps({"inputs": [], "parameters": {"binary_data_output": as_binary}}).encode(), {}, signature_of(spec._replace(optional=True))
    )
    body, content_type = open_inference.encode(call, signature, TAG, {"x": array})
    size = int(content_type.partition("=")[2] or len(body))
    assert (BINARY in content_type) is as_binary
    header = orjson.loads(body[:size])
    new = orjson.dumps({"inputs": header["outputs"]})
    return new + body[size:], {SIZE: str(len(new))}, signature


@pytest.mark.parametrize("datatype", DATATYPES, ids=lambda row: row.name)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_is_written_in_binary_is_read_back(datatype: Datatype, data: st.DataObject) -> None:
    """decode(encode(x)) == x in binary for every datatype, shape and bit pattern: NaNs, subnormals, NULs and bytes that are no UTF-8."""
    array = data.draw(tensors(datatype))
    body, parameters, signature = answer_as_request(array, datatype, as_binary=True)

    (found,) = open_inference.decode(body, parameters, signature).inputs.values()

    assert isinstance(found, np.ndarray)
    assert (array.dtype, array.shape) == (found.dtype, found.shape)
    assert array.tobytes() == found.tobytes() if datatype.kind != "string" else array.tolist() == found.tolist()


@pytest.mark.parametrize("datatype", DATATYPES, ids=lambda row: row.name)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_is_written_in_json_is_read_back(datatype: Datatype, data: st.DataObject) -> None:
    """decode(encode(x)) == x in JSON for every datatype and shape, empty ones too, to the last bit of every finite number."""
    array = data.draw(tensors(datatype))
    assume(datatype.kind != "float" or bool(np.isfinite(array).all()))
    body, parameters, signature = answer_as_request(array, datatype, as_binary=False)

    (found,) = open_inference.decode(body, parameters, signature).inputs.values()

    assert isinstance(found, np.ndarray)
    assert (array.dtype, array.shape, array.tolist()) == (found.dtype, found.shape, found.tolist())


MIXED = (
    TensorSpec("a", BY_NAME["UINT32"], (2, 2)),
    TensorSpec("b", BY_NAME["BOOL"], ("n",)),
    TensorSpec("s", BY_NAME["BYTES"], (None,)),
    TensorSpec("h", BY_NAME["BF16"], None, optional=True),
)
BYTES = b"\x02\x00\x00\x00\xff\x00\x00\x00\x00\x00"


def valid_body() -> tuple[bytes, dict[str, str]]:
    inputs = [
        raw("a", [2, 2], "UINT32", bytes(16)),
        listed("b", [3], "BOOL", data=[True, False, True]),
        raw("s", [2], "BYTES", BYTES),
        raw("h", [2], "BF16", b"\xc0\x7f\x80\x3f"),
    ]
    outputs = [{"name": "a", "parameters": {"binary_data": True}}, {"name": "b", "parameters": {"classification": 1}}]
    return framed({"inputs": inputs, "outputs": outputs, "id": "7"}, bytes(16), BYTES, b"\xc0\x7f\x80\x3f")


def outcome(body: bytes, parameters: dict[str, str], signature: Signature) -> str | int:
    """Whether a body is a call, or the status of the problem that it is; anything else that is raised goes on."""
    try:
        open_inference.decode(body, parameters, signature)
    except Problem as problem:
        return problem.status
    return "a call"


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "shape", "datatype", "data", "parameters", "binary_data_size", "b64"]), inner, max_size=5
        )
    ),
    max_leaves=20,
)
sizes = st.none() | st.integers(-2, 90).map(str) | st.text(max_size=6) | st.sampled_from(["99999999999", "9" * 5000, "٣", "0x10"])


@settings(max_examples=500, deadline=None)
@given(
    body=st.binary(max_size=90)
    | documents.map(lambda d: json.dumps({"inputs": d}).encode())
    | documents.map(lambda d: json.dumps(d).encode()),
    size=sizes,
)
def test_any_body_is_a_call_or_a_problem_of_ours(body: bytes, size: str | None) -> None:
    """Arbitrary bytes and documents under any header length never raise anything but our errors."""
    for signature in (signature_of(*MIXED), signature_of(FLOATS), signature_of(TensorSpec("x", BY_NAME["BYTES"], (1,)))):
        assert outcome(body, {} if size is None else {SIZE: size}, signature) in {"a call", 400, 422}


@settings(max_examples=800, deadline=None)
@given(data=st.data())
def test_any_damaged_body_is_a_call_or_a_problem_of_ours(data: st.DataObject) -> None:
    """A valid body of JSON and raw tensors with bytes changed, cut, doubled or taken away never raises anything but our errors."""
    body, parameters = valid_body()
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged)))
        piece = data.draw(st.binary(max_size=3) | st.sampled_from([b"-", b"9" * 19, b"null", b"[", b'"', b"\x00"]))
        damaged[at : at + data.draw(st.integers(0, 4))] = piece
    size = data.draw(st.just(parameters[SIZE]) | sizes)

    assert outcome(bytes(damaged), {} if size is None else {SIZE: size}, signature_of(*MIXED)) in {"a call", 400, 422}


def test_mixed_tensors() -> None:
    """Raw tensors are taken in the order of the inputs that say a size, JSON ones between them, and outputs as each entry asks."""
    body, parameters = valid_body()
    call = open_inference.decode(body, parameters, signature_of(*MIXED))

    assert ["a", "b", "s", "h"] == list(call.inputs)
    assert [True, False, True] == call.inputs["b"].tolist()  # type: ignore[union-attr]
    assert [b"\xff\x00", b""] == [bytes_of(text) for text in call.inputs["s"].tolist()]  # type: ignore[union-attr]
    assert 1.0 == call.inputs["h"].tolist()[1]  # type: ignore[union-attr]
    assert ("7", ("a", "b"), 1) == (call.id, call.outputs, call.top_k)


def test_aligned_tensors_are_not_copied() -> None:
    """A raw tensor that starts at a multiple of its item size is a read-only view of the body, any other an aligned copy."""
    body = memoryview(bytes(64))
    for offset in range(4):
        tensor = binary_tensors.from_bytes(body[offset : offset + 8], FLOATS, (2,), "")
        assert tensor.flags.aligned
        assert tensor.flags.owndata is (offset > 0)
        assert tensor.flags.writeable is (offset > 0)


@given(st.lists(st.integers(0, 2**16 - 1), max_size=8))
def test_bfloat16_bits_go_through(bits: list[int]) -> None:
    """Every BF16 bit pattern, those of NaNs too, is the same after the float32 that stands for it, and has ml_dtypes' value."""
    content = np.array(bits, np.uint16)
    values = binary_tensors.from_bytes(memoryview(content.tobytes()), TensorSpec("x", BY_NAME["BF16"], None), (len(bits),), "")

    np.testing.assert_array_equal(content.view(ml_dtypes.bfloat16).astype(np.float32), values)
    assert bits == bfloat16_bits(values).tolist()


def test_float32_nans_stay_nans_in_bfloat16() -> None:
    """A NaN whose bits all lie in the half that BF16 does not have is still a NaN."""
    values = np.array([0x7F800001, 0xFF80FFFF, 0x7FC00000], np.uint32).view(np.float32)

    assert [0x7FC0, 0xFFC0, 0x7FC0] == bfloat16_bits(values).tolist()


@pytest.mark.parametrize("value", [[0x01, 0x02], [0x00, 0xFF]])
def test_bool_bytes_are_0_or_1(value: list[int]) -> None:
    """A BOOL of another byte than 0 and 1 is refused with its place, before a graph could take it for a third truth."""
    with pytest.raises(OutOfRange, match=rf"byte {value[1]} at 1"):
        binary_tensors.from_bytes(memoryview(bytes(value)), TensorSpec("x", BY_NAME["BOOL"], ("n",)), (2,), "/inputs/0")


@pytest.mark.parametrize(
    ("content", "count", "message"),
    [
        (b"\x01\x00\x00", 1, "incomplete string length indicator"),
        (b"\x05\x00\x00\x00ab", 1, "expected 1 string elements for input 's', but its 6 bytes end before"),
        (b"\xff\xff\xff\xff", 1, "end before"),
        (b"\x00\x00\x00\x00", 2, "expected 2 string elements"),
        (b"\x00\x00\x00\x00\x00", 1, "but 1 bytes follow them"),
        (b"", 2**62, "expected 4611686018427387904 string elements"),
    ],
)
def test_lying_lengths_of_strings(content: bytes, count: int, message: str) -> None:
    """BYTES whose lengths and number do not add up are refused with what was expected, and nothing is allocated for them."""
    with pytest.raises(Invalid, match=message):
        binary_tensors.from_bytes(memoryview(content), TensorSpec("s", BY_NAME["BYTES"], None), (count,), "/inputs/0")


@pytest.mark.parametrize(
    "shape", [[16, 2**60 + 2], [4, 2**60 + 2], [2**31, 2**31], [2**63, 2], [2**64 - 1] * 64, [10**400, 1]], ids=lambda s: f"{len(s)}-dims"
)
@pytest.mark.parametrize("as_binary", [False, True])
def test_products_do_not_wrap(shape: list[int], as_binary: bool) -> None:
    """A shape whose product does not fit 64 bits is compared by its true product, and refused before anything is allocated."""
    spec = TensorSpec("x", BY_NAME["FP32"], None)
    entry = raw("x", shape, "FP32", bytes(8)) if as_binary else listed("x", shape, data=[1, 2])

    with pytest.raises((WrongShape, Unreadable), match=r"Shape does not match|byte size mismatch|whole numbers"):
        decoded({"inputs": [entry]}, spec, content=bytes(8) if as_binary else b"")


@pytest.mark.parametrize("shape", [[2**60, 0], [0, 2**62], [2**63 - 1, 2, 0]])
def test_empty_tensors_are_not_huge_beside_their_zero(shape: list[int]) -> None:
    """An empty tensor cannot claim dimensions that a graph would take for the size of its answer."""
    with pytest.raises(WrongShape, match="multiply to 16777216 at most"):
        decoded({"inputs": [listed("x", shape, data=[])]}, TensorSpec("x", BY_NAME["FP32"], None))


@pytest.mark.parametrize("shape", [None, 3, "[1]", {}, [True], [1.0], ["1"], [-1], [None], [[1]], [1] * 65, list(range(3000))], ids=repr)
def test_shapes_are_lists_of_natural_numbers(shape: Any) -> None:
    """A shape that is no list of at most 64 whole numbers is refused at its place."""
    with pytest.raises(WrongShape, match='"shape" must be an array of at most 64 whole numbers') as raised:
        decoded({"inputs": [{"name": "x", "datatype": "FP32", "data": [1], "shape": shape}]})
    assert "/inputs/0/shape" == raised.value.pointer


@pytest.mark.parametrize("nested", [[1, 2, 3, 4], [[1, 2], [3, 4]], [[1, 2, 3, 4]], [[[1], [2]], [[3], [4]]]])
def test_data_may_be_flat_or_nested(nested: Any) -> None:
    """Data of any regular nesting is the tensor of the shape that is declared, row by row."""
    spec = TensorSpec("x", BY_NAME["FP32"], (2, 2))
    (found,) = decoded({"inputs": [listed("x", [2, 2], data=nested)]}, spec).inputs.values()

    assert [[1, 2], [3, 4]] == found.tolist()  # type: ignore[union-attr]


def test_large_json_tensors_take_the_quick_way() -> None:
    """A large JSON tensor, flat or nested, is read straight into its buffer, with the same numbers."""
    values = np.linspace(-1, 1, 40_000, dtype=np.float32)
    spec = TensorSpec("x", BY_NAME["FP32"], (None, None))
    for data in (values.tolist(), values.reshape(200, 200).tolist()):
        (found,) = decoded({"inputs": [listed("x", [100, 400], data=data)]}, spec).inputs.values()
        assert values.reshape(100, 400).tolist() == found.tolist()  # type: ignore[union-attr]


def encoded(wanted: list[dict[str, Any]] | None, outputs: dict[str, Any], **parameters: Any) -> tuple[dict[str, Any], bytes]:
    """The JSON of an answer, and what follows it."""
    specs = tuple(
        TensorSpec(name, BY_NAME[kind], None) for name, kind in (("f", "FP32"), ("s", "BYTES"), ("i", "INT64")) if name in outputs
    )
    signature = Signature((), specs, labels=("no", "yes", "maybe"))
    request = {"inputs": [], "parameters": parameters} | ({"outputs": wanted} if wanted is not None else {})
    body, content_type = open_inference.encode(open_inference.decode(json.dumps(request).encode(), {}, signature), signature, TAG, outputs)
    size = int(content_type.partition(f"{SIZE}=")[2] or len(body))
    return orjson.loads(body[:size]), body[size:]


OUTPUTS = {"f": np.array([[0.5, 2.0]], np.float32), "i": np.array([2**63 - 1])}


def test_outputs_are_raw_by_entry_then_by_request() -> None:
    """An output's own flag wins over the request's default; raw ones follow the JSON in the order of the outputs."""
    wanted = [{"name": "i"}, {"name": "f", "parameters": {"binary_data": False}}]
    header, rest = encoded(wanted, OUTPUTS, binary_data_output=True)

    assert [
        {"name": "i", "datatype": "INT64", "shape": [1], "parameters": {"binary_data_size": 8}},
        {"name": "f", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 2.0]},
    ] == header["outputs"]
    assert struct.pack("<q", 2**63 - 1) == rest
    header, rest = encoded([{"name": "f", "parameters": {"binary_data": True}}, {"name": "i"}], OUTPUTS)
    assert ([2**63 - 1], struct.pack("<2f", 0.5, 2)) == (header["outputs"][1]["data"], rest)


@pytest.mark.parametrize("wanted", [None, []])
def test_no_outputs_are_all_outputs(wanted: Any) -> None:
    """Without outputs, and with none in their list, all are answered."""
    header, _ = encoded(wanted, OUTPUTS)

    assert ["f", "i"] == [output["name"] for output in header["outputs"]]


def test_ids() -> None:
    """An id comes back as it was sent, also an empty one; without one each answer has a new one."""
    for sent, check in (({"id": "42"}, "42".__eq__), ({"id": ""}, "".__eq__), ({"id": None}, bool), ({}, bool)):
        body = json.dumps({"inputs": [listed(data=[1])], **sent}).encode()
        call = open_inference.decode(body, {}, signature_of(FLOATS))
        answers = [
            orjson.loads(open_inference.encode(call, signature_of(FLOATS), TAG, {"x": np.ones(1, np.float32)}).body) for _ in range(2)
        ]
        assert check(answers[0]["id"])
        assert (answers[0]["id"] == answers[1]["id"]) is (sent.get("id") is not None)


def ranked(scores: Any, k: int, labels: tuple[str, ...] = (), known: Any = None) -> Any:
    return classes("y", scores, k, Signature((), (), labels=labels), known).tolist()


@pytest.mark.parametrize(
    ("dtype", "scores", "expected"),
    [
        (np.float32, [[0.1, 0.7, 0.2]], [["0.7:1", "0.2:2"]]),
        (np.float16, [[1e-7, 65504.0, -1.0]], [["65504.0:1", "1.1920929e-07:0"]]),
        (np.float64, [[math.nan, 0.5, math.inf]], [["inf:2", "0.5:1"]]),
        (np.uint8, [[0, 255, 128]], [["255:1", "128:2"]]),
        (np.uint64, [[2**64 - 1, 0, 2**63]], [["18446744073709551615:0", "9223372036854775808:2"]]),
        (np.int8, [[-128, 127, 0], [5, 5, 5]], [["127:1", "0:2"], ["5:0", "5:1"]]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_classification_ranks_every_kind_of_number(dtype: Callable[..., Any], scores: Any, expected: Any) -> None:
    """The highest values come first with their shortest digits, equals in class order, NaN last, for signed, unsigned and floats."""
    assert expected == ranked(np.array(scores, dtype), 2)


def test_classification_of_other_shapes() -> None:
    """One dimension is one row; more than two are rows of everything behind the first; k over the classes gives all of them."""
    cube = np.arange(8, dtype=np.float32).reshape(2, 2, 2)

    assert ["2.0:1", "1.0:0"] == ranked(np.array([1, 2], np.float32), 9)
    assert [["3.0:3"], ["7.0:3"]] == ranked(cube, 1)
    assert [] == ranked(np.empty((0, 3), np.float32), 2)


def test_classification_labels() -> None:
    """Labels are the manifest's where there are as many as classes, else those of a ZipMap, else left out."""
    row = np.array([[0.25, 0.75]], np.float32)

    assert [["0.75:1:yes"]] == ranked(row, 1, ("no", "yes"))
    assert [["0.75:1:b"]] == ranked(row, 1, ("one too", "many", "labels"), np.array(["a", "b"], np.object_))
    assert [["0.75:1"]] == ranked(row, 1, ("one too", "many", "labels"))


@pytest.mark.parametrize("scores", [np.array(1.0), np.array([["a"]], np.object_), np.array([[True]]), np.empty((3, 0)), None, []], ids=repr)
def test_classification_of_what_has_no_classes(scores: Any) -> None:
    """A scalar, strings, truths, nothing and a sequence are no scores."""
    with pytest.raises(Invalid, match="classification needs an output of scores"):
        ranked(scores, 1)


@pytest.mark.parametrize("as_binary", [False, True])
def test_classification_is_an_output_of_bytes(as_binary: bool) -> None:
    """A classified output is BYTES of [rows, k] in its place, raw or in JSON as it is asked for."""
    scores = {"f": np.array([[0.5, 2.0, 1.0]], np.float32)}
    header, rest = encoded([{"name": "f", "parameters": {"classification": 2, "binary_data": as_binary}}], scores)
    (output,) = header["outputs"]

    assert ("BYTES", [1, 2]) == (output["datatype"], output["shape"])
    if as_binary:
        assert b"\x09\x00\x00\x002.0:1:yes\x0b\x00\x00\x001.0:2:maybe" == rest
    else:
        assert ["2.0:1:yes", "1.0:2:maybe"] == output["data"]


@pytest.mark.parametrize(
    ("content", "shape", "spec"),
    [
        (struct.pack("<4f", 1, 2, 3, 4), [2, 2], TensorSpec("x", BY_NAME["FP32"], ("batch", 2))),
        (struct.pack("<2f", 1, 2), [2], TensorSpec("x", BY_NAME["FP32"], (2,))),
        (b"", [0], FLOATS),
        (b"\x01\x00", [1, 2], TensorSpec("x", BY_NAME["BOOL"], (1, None))),
        (b"\x80\x3f", [1], TensorSpec("x", BY_NAME["BF16"], ("n",))),
        (b"a\x00\xff", [1], TensorSpec("x", BY_NAME["BYTES"], (1,))),
        (b"", [1, 1], TensorSpec("x", BY_NAME["BYTES"], ("batch", 1))),
    ],
)
def test_raw_requests(content: bytes, shape: list[int], spec: TensorSpec) -> None:
    """A body that is nothing but the bytes of the only input has the shape that follows from their number; its answer is raw."""
    call = open_inference.decode(content, {SIZE: "0"}, signature_of(spec))
    value = call.inputs["x"]
    assert isinstance(value, np.ndarray)

    assert shape == list(value.shape)
    assert open_inference.encode(call, signature_of(spec), TAG, {"x": value}).content_type.startswith(BINARY)
    if spec.datatype.kind == "string":
        assert [content] == [bytes_of(text) for text in value.reshape(-1).tolist()]
    else:
        assert content == bytes(binary_tensors.to_bytes(value, spec.datatype))


@pytest.mark.parametrize(
    ("content", "specs", "message"),
    [
        (b"\x00" * 4, MIXED, "Raw request must only have 1 input"),
        (b"\x00" * 4, (), "Raw request must only have 1 input"),
        (b"\x00" * 4, (FLOATS._replace(shape=("n", "m")),), "can not be deduced because there are more than one variable-sized dimension"),
        (b"\x00" * 4, (FLOATS._replace(shape=None),), "can not be deduced"),
        (b"\x00" * 4, (FLOATS._replace(shape=None, sequence=True),), "can not be deduced"),
        (b"\x00" * 5, (FLOATS,), "input byte size mismatch for input 'x'"),
        (b"\x00" * 4, (FLOATS._replace(shape=("n", 0)),), "input byte size mismatch"),
        (b"abc", (TensorSpec("x", BY_NAME["BYTES"], (2,)),), r"the model must have input shape \[1\]"),
    ],
)
def test_raw_requests_that_cannot_be_understood(content: bytes, specs: tuple[TensorSpec, ...], message: str) -> None:
    """A raw body whose shape cannot be told from its size is refused with the reason."""
    with pytest.raises(Problem, match=message):
        open_inference.decode(content, {SIZE: "0"}, signature_of(*specs))


@pytest.mark.parametrize(("policy", "refused"), [("refuse", {"json", "binary", "raw"}), ("binary", {"json"}), ("allow", set())])
def test_nan_comes_in_as_the_model_says(policy: Any, refused: set[str]) -> None:
    """NaN is refused in JSON by default and taken in binary; a model can refuse it in both and allow it in both."""
    nan = struct.pack("<f", math.nan)
    signature = signature_of(FLOATS, nan_input=policy)
    ways = {
        "json": framed({"inputs": [listed(data=[math.nan])]}),
        "binary": framed({"inputs": [raw("x", [1], "FP32", nan)]}, nan),
        "raw": (nan, {SIZE: "0"}),
    }

    assert {way: 422 if way in refused else "a call" for way in ways} == {way: outcome(*ways[way], signature) for way in ways}


def test_optional_outputs_that_are_empty_are_left_out() -> None:
    """An ONNX optional without a value has no entry, which tritonclient reads as None."""
    header, _ = encoded(None, {"f": None, "i": OUTPUTS["i"]})

    assert ["i"] == [output["name"] for output in header["outputs"]]
