"""OpenAI's embeddings: what a body may say, which graph can answer it, and how the vectors are written."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from app.codecs import embeddings
from app.codecs.call import Call, ModelTag
from app.errors import Invalid, OutputNotFinite, Problem
from app.tensors import BY_NAME, Dimension, Signature, TensorSpec

TAG = ModelTag("m", "1", "sha256:0")


def spec(name: str, datatype: str, *shape: Dimension, **more: Any) -> TensorSpec:
    return TensorSpec(name, BY_NAME[datatype], shape, **more)


def unknown(name: str, datatype: str) -> TensorSpec:
    return TensorSpec(name, BY_NAME[datatype], None)


VECTOR = spec("embedding", "FP32", "n", 8)
TEXT = Signature((spec("text", "BYTES", "n"),), (VECTOR,))
IDS = spec("input_ids", "INT64", "n", "seq")
MASK = spec("attention_mask", "INT64", "n", "seq")


def of_tokens(*inputs: TensorSpec) -> Signature:
    return Signature(inputs, (VECTOR,))


def decode(value: Any, signature: Signature = TEXT, **more: Any) -> Call:
    return embeddings.decode(json.dumps({"model": "m", "input": value, **more}).encode(), {}, signature)


def encode(call: Call, vectors: Any, signature: Signature = TEXT, **others: Any) -> dict[str, Any]:
    outputs = {call.outputs[0]: np.asarray(vectors), **others}
    answer = embeddings.encode(call, signature, TAG, outputs)
    assert "application/json" == answer.content_type
    found: dict[str, Any] = json.loads(answer.body)
    return found


def refusal(value: Any, signature: Signature = TEXT, **more: Any) -> tuple[str | None, str]:
    with pytest.raises(Problem) as caught:
        decode(value, signature, **more)
    return caught.value.pointer, caught.value.detail


@pytest.mark.parametrize(("value", "expected"), [("a", ["a"]), (["a"], ["a"]), (["a", "ü\n"], ["a", "ü\n"])])
def test_texts(value: Any, expected: list[str]) -> None:
    """One text or many become the rows of the text input."""
    assert expected == decode(value).inputs["text"].tolist()


@pytest.mark.parametrize("shape", [("n", 1), ("n", "any"), ("n", None)])
def test_text_columns(shape: tuple[Dimension, ...]) -> None:
    """A graph that takes its texts as a column gets a column."""
    column = Signature((spec("text", "BYTES", *shape),), (VECTOR,))

    assert [["a"], ["b"]] == decode(["a", "b"], column).inputs["text"].tolist()


def test_text_of_an_untold_shape() -> None:
    """A graph that does not tell the shape of its text gets the texts as a row."""
    assert ["a", "b"] == decode(["a", "b"], Signature((unknown("text", "BYTES"),), (VECTOR,))).inputs["text"].tolist()


def test_token_lists_are_padded_and_masked() -> None:
    """Lists of unequal length are padded with 0; the mask shows the tokens, the segments are 0, the places count up."""
    others = (
        spec("attention_mask", "INT32", "n", "seq"),
        spec("token_type_ids", "INT64", "n", "seq"),
        spec("position_ids", "INT64", "n", "seq"),
    )
    found = decode([[7, 8, 9], [5]], of_tokens(IDS, *others)).inputs

    assert [[7, 8, 9], [5, 0, 0]] == found["input_ids"].tolist()
    assert [[1, 1, 1], [1, 0, 0]] == found["attention_mask"].tolist()
    assert [[0, 0, 0], [0, 0, 0]] == found["token_type_ids"].tolist()
    assert [[0, 1, 2], [0, 1, 2]] == found["position_ids"].tolist()
    assert ["int64", "int32", "int64", "int64"] == [str(value.dtype) for value in found.values()]


def test_companions_by_other_names() -> None:
    """The names of other exporters are understood, and a single input is the token ids whatever its name."""
    others = (spec("input_mask", "BOOL", "n", "seq"), spec("Segment_Ids", "INT64", "n", "seq"))
    found = decode([[7, 8], [5]], of_tokens(spec("ids", "INT32", "n", "seq"), *others)).inputs

    assert {"ids": [[7, 8], [5, 0]], "input_mask": [[True, True], [True, False]], "Segment_Ids": [[0, 0], [0, 0]]} == {
        name: value.tolist() for name, value in found.items()
    }
    assert [[7]] == decode([7], of_tokens(spec("masked_ids", "INT64", "n", "seq"))).inputs["masked_ids"].tolist()


@pytest.mark.parametrize("value", [[1, 2, 3], [[1, 2, 3]]])
def test_one_token_list(value: Any) -> None:
    """A bare list of token ids is one input."""
    assert [[1, 2, 3]] == decode(value, of_tokens(IDS)).inputs["input_ids"].tolist()


def test_large_token_lists() -> None:
    """Token lists large enough for the quick way of numbers arrive as small ones do."""
    rows = [list(range(i, i + 900)) for i in range(4)]

    assert rows == decode(rows, of_tokens(IDS)).inputs["input_ids"].tolist()
    assert [rows[0] * 2] == decode(rows[0] * 2, of_tokens(IDS)).inputs["input_ids"].tolist()
    assert "mixes kinds: input 1 is not a text" in refusal(["a", rows[0] * 2, "b"])[1]
    assert "mixes kinds: input 1 is not an array" in refusal([rows[0] * 2, "a"], of_tokens(IDS))[1]


def test_a_fixed_length_is_padded_to() -> None:
    """A graph of a fixed number of tokens gets that many, where it has a mask; longer lists are refused with the number."""
    fixed = spec("input_ids", "INT64", "n", 4)
    signature = of_tokens(fixed, MASK._replace(shape=("n", 4)))

    assert [[1, 2, 0, 0]] == decode([1, 2], signature).inputs["input_ids"].tolist()
    assert [[1, 1, 0, 0]] == decode([1, 2], signature).inputs["attention_mask"].tolist()
    assert ("/input/1", "input 1 has 5 tokens; the model takes at most 4.") == refusal([[1], [1, 2, 3, 4, 5]], signature)


def test_without_a_mask_lists_have_one_length() -> None:
    """Padding that the graph cannot tell from tokens would change the vectors, so it is refused with what to do."""
    pointer, detail = refusal([[1, 2], [3]], of_tokens(IDS))

    assert "/input/1" == pointer
    assert "no attention_mask input" in detail


def test_padding_is_bounded() -> None:
    """One long list among many short ones is refused before the padding is made."""
    assert "values, and at most 4194304 are taken" in refusal([[1]] * 2047 + [[1] * 3000], of_tokens(IDS, MASK))[1]


@pytest.mark.parametrize(
    ("value", "pointer", "said"),
    [
        (None, "/input", "missing"),
        ("", "/input/0", "input 0 is an empty text"),
        ([], "/input", "send at least 1"),
        (["a", ""], "/input/1", "input 1 is an empty text"),
        ([[1], []], "/input/1", "input 1 is an empty array"),
        (["a", 1], "/input/1", "mixes kinds"),
        (["a", None], "/input/1", "mixes kinds"),
        ([[1], "a"], "/input/1", "mixes kinds"),
        ({"text": "a"}, "/input", "must be a text"),
        (5, "/input", "must be a text"),
        (["a"] * 2049, "/input", "2049 inputs; send at least 1 and at most 2048"),
        ([1, 2], "/input", "takes text, not token ids: send strings (LangChain"),
    ],
)
def test_inputs_that_are_refused(value: Any, pointer: str, said: str) -> None:
    """What is no list of texts or token ids is refused with its place."""
    found = refusal(value)

    assert pointer == found[0]
    assert said in found[1]


@pytest.mark.parametrize(
    ("value", "pointer", "said"),
    [
        ([1, "a"], "/input/0/1", "is a string; the model expects a whole number"),
        ([[1], [True]], "/input/1/0", "is a boolean"),
        ([1.5], "/input/0/0", "which has a fraction"),
        ([2**70], "/input/0/0", "from -9223372036854775808 to 9223372036854775807"),
        ([[[1]]], "/input", "got [1, 1, 1]"),
        ("a", "/input", "takes token ids ('input_ids' INT64 [n, seq]), not text"),
    ],
)
def test_tokens_that_are_refused(value: Any, pointer: str, said: str) -> None:
    """What is no token id is refused with its place; text where the graph takes ids, with what to do."""
    found = refusal(value, of_tokens(IDS))

    assert pointer == found[0]
    assert said in found[1]


@pytest.mark.parametrize(
    "inputs", [(spec("x", "FP32", "n", 4),), (spec("a", "BYTES", "n"), spec("b", "BYTES", "n")), (spec("text", "BYTES", "n", 2),)]
)
@pytest.mark.parametrize("value", ["a", [1]])
def test_graphs_of_other_inputs(inputs: tuple[TensorSpec, ...], value: Any) -> None:
    """A graph that takes neither one text nor one row of token ids for each vector is refused for what it takes."""
    pointer, detail = refusal(value, of_tokens(*inputs))

    assert pointer in {"/model", "/input"}
    assert "takes" in detail


def outputs(*specs: TensorSpec, default: tuple[str, ...] = ()) -> Signature:
    return Signature(TEXT.inputs, specs, default_outputs=default)


TOKEN_LEVEL = spec("last_hidden_state", "FP32", "n", "seq", 8)


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        (outputs(spec("label", "INT64", "n", 1), spec("y", "FP16", "n", 1, 8)), "y"),
        (outputs(TOKEN_LEVEL, spec("pooled", "FP32", "n", 8)), "pooled"),
        (
            outputs(spec("other", "FP32", "n", 3), spec("pooler_output", "FP32", "n", 8), spec("sentence_embedding", "FP32", "n", 8)),
            "sentence_embedding",
        ),
        (outputs(spec("a", "FP32", "n", 3), spec("b", "FP32", "n", 3), default=("b",)), "b"),
        (outputs(spec("a", "FP32", "n", 3), unknown("b", "FP32")), "a"),
        (outputs(spec("label", "INT64", "n"), unknown("b", "FP32")), "b"),
    ],
)
def test_the_vector_is_found(signature: Signature, expected: str) -> None:
    """The output of one float vector for each input is taken: model.toml's choice, the only one, or a known name."""
    assert (expected,) == decode("a", signature).outputs


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        (
            outputs(TOKEN_LEVEL),
            "a vector for each token ('last_hidden_state' FP32 [n, seq, 8]), not for each input: pool them inside the graph",
        ),
        (outputs(TOKEN_LEVEL, VECTOR, default=("last_hidden_state",)), "pool them inside the graph"),
        (outputs(spec("a", "FP32", "n", 3), spec("b", "FP32", "n", 3)), "let default_outputs in model.toml name it"),
        (outputs(spec("label", "INT64", "n")), "no float vector for each input"),
        (outputs(spec("parts", "FP32", "n", sequence=True)), "no float vector for each input"),
    ],
)
def test_graphs_of_other_outputs(signature: Signature, said: str) -> None:
    """A graph without such an output, or with several, is refused with what to do."""
    pointer, detail = refusal("a", signature)

    assert "/model" == pointer
    assert said in detail


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
@pytest.mark.parametrize("middle", [(), (1,)])
def test_the_answer(name: str, middle: tuple[int, ...]) -> None:
    """The answer lists a vector for each input, in order, as numbers; the usage counts the tokens that were sent."""
    vectors = np.arange(6, dtype=name).reshape(2, *middle, 3)
    answer = encode(decode([[1, 2], [3]], of_tokens(IDS, MASK), encoding_format="float", user="u", anything=1), vectors)

    assert {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.0, 1.0, 2.0]},
            {"object": "embedding", "index": 1, "embedding": [3.0, 4.0, 5.0]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    } == answer


def test_tokens_of_texts_are_counted_by_the_graph_alone() -> None:
    """A graph may count the tokens of each text; without that the usage is 0, because no other number would be true."""
    counting = outputs(VECTOR, spec("token_count", "INT64", "n"))
    call = decode(["a", "b"], counting)

    assert ("embedding", "token_count") == call.outputs
    assert {"prompt_tokens": 9, "total_tokens": 9} == encode(call, np.ones((2, 8)), counting, token_count=np.array([4, 5]))["usage"]
    assert {"prompt_tokens": 0, "total_tokens": 0} == encode(decode(["a", "b"]), np.ones((2, 8)))["usage"]


@given(
    arrays.arrays(
        np.float32, st.tuples(st.integers(1, 5), st.integers(1, 20)), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
)
def test_vectors_come_back_exactly(vectors: np.ndarray) -> None:
    """Both forms carry every float32 exactly: base64 as little-endian bytes, numbers by their shortest digits."""
    texts = ["a"] * len(vectors)
    packed = [item["embedding"] for item in encode(decode(texts, encoding_format="base64"), vectors)["data"]]
    listed = [item["embedding"] for item in encode(decode(texts), vectors)["data"]]

    np.testing.assert_array_equal(vectors, [np.frombuffer(base64.b64decode(text, validate=True), "<f4") for text in packed], strict=False)
    np.testing.assert_array_equal(vectors, np.array(listed, np.float32), strict=True)


@given(
    arrays.arrays(np.float32, (3, 6), elements=st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)),
    st.integers(1, 6),
)
def test_dimensions_shorten_and_scale(vectors: np.ndarray, dimensions: int) -> None:
    """``dimensions`` keeps the first numbers of a vector and its direction, at length 1; zeros stay zeros."""
    answer = encode(decode(["a"] * 3, dimensions=dimensions), vectors)

    for vector, item in zip(vectors[:, :dimensions].astype(np.float64), answer["data"], strict=True):
        length = np.linalg.norm(vector)
        np.testing.assert_allclose(vector / length if length else vector, item["embedding"], atol=1e-6)


@pytest.mark.parametrize("dimensions", [0, -1, 1.5, "8", True, [8], 10**30])
def test_dimensions_that_are_none(dimensions: Any) -> None:
    """``dimensions`` is a whole number of at least 1."""
    assert ("/dimensions", '"dimensions" must be a whole number of at least 1.') == refusal("a", dimensions=dimensions)


def test_more_dimensions_than_there_are() -> None:
    """More dimensions than the model's vectors have are refused with their number."""
    with pytest.raises(Invalid, match="is 9, but the model's vectors have 8") as caught:
        encode(decode("a", dimensions=9), np.ones((1, 8)))

    assert "/dimensions" == caught.value.pointer


@pytest.mark.parametrize("form", ["int8", "", 1, True, ["float"], {}])
def test_encoding_formats_that_are_none(form: Any) -> None:
    """The vectors are written as numbers or as base64, and in no third way."""
    assert ("/encoding_format", '"encoding_format" must be "float" or "base64".') == refusal("a", encoding_format=form)


def test_null_is_left_out() -> None:
    """Clients that write null for what they do not wish get the default."""
    assert [1.0] * 8 == encode(decode("a", encoding_format=None, dimensions=None), np.ones((1, 8)))["data"][0]["embedding"]


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e39])
@pytest.mark.parametrize("form", ["float", "base64"])
def test_vectors_are_finite(number: float, form: str) -> None:
    """A vector with NaN, infinity or a number that float32 does not hold is an error that names its place, in base64 too."""
    vectors = np.ones((2, 8))
    vectors[1, 3] = number

    with pytest.raises(OutputNotFinite, match=r"'embedding' is no finite number at \[1, 3\], in the vector of input 1"):
        encode(decode(["a", "b"], encoding_format=form), vectors)


@pytest.mark.parametrize("shape", [(1, 8), (3, 8), (2, 4, 8), (8,), (), (2, 1, 1, 8)])
def test_answers_of_other_shapes(shape: tuple[int, ...]) -> None:
    """A graph that answers anything but one vector for each input, against its signature, is told so."""
    with pytest.raises(Invalid, match=r"to 2 inputs, where \[2, size\] is needed"):
        encode(decode(["a", "b"]), np.ones(shape))


@pytest.mark.parametrize(("body", "expected"), [(b'{"model": "m"}', "m"), (b'{"input": "a"}', None), (b'{"model": null}', None)])
def test_the_model_is_read_from_the_body(body: bytes, expected: str | None) -> None:
    """The body names the model."""
    assert expected == embeddings.model_of(body)


@pytest.mark.parametrize(
    ("body", "pointer"), [(b'{"model": 1}', "/model"), (b"[]", None), (b"{", None), (b'{"model":"a","model":"b"}', None)]
)
def test_bodies_that_name_no_model(body: bytes, pointer: str | None) -> None:
    """A body that is no object, or names two models, is refused."""
    with pytest.raises(Problem) as caught:
        embeddings.model_of(body)

    assert pointer == caught.value.pointer


SIGNATURES = [
    TEXT,
    of_tokens(IDS),
    of_tokens(IDS, MASK),
    of_tokens(spec("input_ids", "INT32", "n", 4), MASK),
    outputs(unknown("y", "FP32")),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(st.sampled_from(SIGNATURES), JSON, JSON, JSON)
def test_any_value_anywhere_is_decoded_or_refused(signature: Signature, value: Any, form: Any, dimensions: Any) -> None:
    """Any JSON in any place becomes one row for each input, or a problem, and nothing else."""
    try:
        call = decode(value, signature, encoding_format=form, dimensions=dimensions)
    except Problem:
        return
    assert {call.details.rows} == {len(tensor) for tensor in call.inputs.values()}


@given(st.sampled_from(SIGNATURES), st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(signature: Signature, body: bytes) -> None:
    """Arbitrary bytes name a model or none and are a call, or they are a problem, and nothing else."""
    found: list[Any] = []
    for read in (embeddings.model_of, lambda given: embeddings.decode(given, {}, signature)):
        try:
            found.append(read(body))
        except Problem as problem:
            found.append(problem)

    assert isinstance(found[0], str | None | Problem)
    assert isinstance(found[1], Call | Problem)
