"""``POST /v1/embeddings`` as OpenAI has it, through every shell."""

import base64
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests import graphs
from tests.problems import LEAKS
from tests.shells import in_process

PATH = "/v1/embeddings"


def embed(http: httpx.Client, value: Any, model: str = "text-embedding", **more: Any) -> dict[str, Any]:
    answer = http.post(PATH, json={"model": model, "input": value, **more})
    assert 200 == answer.status_code, answer.text
    assert "application/json" == answer.headers["content-type"]
    found: dict[str, Any] = answer.json()
    assert {"object", "data", "model", "usage"} == set(found)
    assert ("list", model) == (found["object"], found["model"])
    assert [("embedding", i) for i in range(len(found["data"]))] == [(item["object"], item["index"]) for item in found["data"]]
    return found


def vectors(found: dict[str, Any]) -> np.ndarray:
    return np.array([item["embedding"] for item in found["data"]], np.float32)


def check_refusal(answer: httpx.Response, status: int, code: str, param: str | None) -> str:
    """The answer is an error as OpenAI's clients read it; its message."""
    assert status == answer.status_code, answer.text
    assert "application/json" == answer.headers["content-type"]
    assert {"error"} == set(answer.json())
    error = answer.json()["error"]
    assert {"message", "type", "param", "code"} == set(error)
    assert ("invalid_request_error" if status < 500 else "server_error", param, code) == (error["type"], error["param"], error["code"])
    assert error["message"]
    assert answer.headers["x-request-id"]
    assert not LEAKS.search(answer.text.replace("ONNX Runtime", "")), answer.text
    message: str = error["message"]
    return message


def expected(*rows: list[int]) -> np.ndarray:
    """The means of the tokens' vectors."""
    return np.array([graphs.embedding_table()[row].mean(axis=0) for row in rows])


def test_texts_become_vectors(http: httpx.Client) -> None:
    """Texts go through the tokenizer inside the graph: a vector for each, and the tokens that the graph counted."""
    found = embed(http, ["hello cat", "cat"])
    letters = [graphs.BYTE_PAIRS.index(letter) for letter in "cat"]

    np.testing.assert_allclose(expected([0, 34, 37, 1], [0, *letters, 1]), vectors(found), rtol=1e-5)
    assert {"prompt_tokens": 9, "total_tokens": 9} == found["usage"]
    assert found["data"][0] == embed(http, "hello cat")["data"][0]


def test_token_ids_become_vectors(http: httpx.Client) -> None:
    """Lists of token ids of unequal length get the vectors that each gets alone; segment, place and mask are filled in."""
    found = embed(http, [[5, 6, 7], [8]], "token-embedding")

    np.testing.assert_allclose(expected([5, 6, 7], [8]) + np.array([[0.5], [0]]), vectors(found), rtol=1e-5)
    np.testing.assert_allclose(vectors(embed(http, [8], "token-embedding"))[0], vectors(found)[1], rtol=1e-5)
    assert {"prompt_tokens": 4, "total_tokens": 4} == found["usage"]


def test_one_text_at_a_time(http: httpx.Client) -> None:
    """A graph of one text answers many; without its own count the usage is 0."""
    found = embed(http, ["hello cats", "cat", "hello"], "word-piece-embedding")

    np.testing.assert_allclose(expected([2, 5, 6, 7, 3], [2, 6, 3], [2, 5, 3]), vectors(found), rtol=1e-5)
    assert {"prompt_tokens": 0, "total_tokens": 0} == found["usage"]


def test_base64_is_the_same_vectors(http: httpx.Client) -> None:
    """base64 holds the little-endian float32 values that the numbers are."""
    packed = [
        np.frombuffer(base64.b64decode(item["embedding"]), "<f4")
        for item in embed(http, ["cat", "hello"], encoding_format="base64")["data"]
    ]

    np.testing.assert_array_equal(vectors(embed(http, ["cat", "hello"], encoding_format="float")), packed, strict=False)


def test_fewer_dimensions(http: httpx.Client) -> None:
    """``dimensions`` answers the first numbers, at length 1."""
    whole, short = vectors(embed(http, "cat"))[0], vectors(embed(http, "cat", dimensions=3))[0]

    np.testing.assert_allclose(whole[:3] / np.linalg.norm(whole[:3]), short, rtol=1e-5)


def test_headers_of_clients_change_nothing(http: httpx.Client) -> None:
    """A bearer token, an Accept of another type and keys that mean nothing to a graph are passed over; the headers name the model."""
    headers = {"Authorization": "Bearer sk-test", "Accept": "text/csv", "OpenAI-Organization": "o"}
    answer = http.post(
        f"{PATH}?outputs=token_count", headers=headers, json={"model": "text-embedding", "input": "cat", "user": "u", "x": 1}
    )

    assert (200, "application/json") == (answer.status_code, answer.headers["content-type"])
    assert embed(http, "cat") == answer.json()
    assert ("text-embedding", "1") == (answer.headers["x-model-name"], answer.headers["x-model-version"])


@pytest.mark.parametrize(
    ("body", "code", "param", "said"),
    [
        ({"input": "a"}, "invalid-request", "model", '"model" must name a model; the models are '),
        ({"model": "", "input": "a"}, "invalid-request", "model", '"model" must name a model'),
        ({"model": 1, "input": "a"}, "invalid-request", "model", '"model" must be a string'),
        ({"model": "text-embedding"}, "missing-input", "input", '"input" is missing'),
        ({"model": "text-embedding", "input": ""}, "wrong-shape", "input", "empty"),
        ({"model": "text-embedding", "input": []}, "wrong-shape", "input", "at least 1"),
        ({"model": "text-embedding", "input": ["a", ""]}, "wrong-shape", "input", "input 1 is an empty text"),
        ({"model": "text-embedding", "input": ["a"] * 2049}, "wrong-shape", "input", "at most 2048"),
        ({"model": "text-embedding", "input": [1, 2]}, "invalid-request", "input", "takes text, not token ids"),
        ({"model": "token-embedding", "input": "a"}, "invalid-request", "input", "put the tokenizer into the graph"),
        ({"model": "token-embedding", "input": [[1, "a"]]}, "wrong-datatype", "input", "is a string"),
        ({"model": "token-embedding", "input": [99]}, "input-refused-by-model", None, "out of data bounds"),
        ({"model": "text-embedding", "input": "a", "encoding_format": "int8"}, "invalid-request", "encoding_format", '"float" or "base64"'),
        ({"model": "text-embedding", "input": "a", "dimensions": 9}, "invalid-request", "dimensions", "vectors have 8"),
        ({"model": "iris", "input": "a"}, "invalid-request", "model", "The model takes 'X' FP32 [?, 4]"),
        ({"model": "text", "input": "a"}, "invalid-request", "model", "no embedding model"),
        ([], "invalid-request", None, "must be a JSON object"),
    ],
)
def test_requests_that_are_refused(http: httpx.Client, body: Any, code: str, param: str | None, said: str) -> None:
    """Every request that can be read and not be answered is 400 with the parameter that is wrong, as OpenAI's own."""
    assert said in check_refusal(http.post(PATH, json=body), 400, code, param)


def test_an_unknown_model(http: httpx.Client) -> None:
    """An unknown model is 404 under OpenAI's own code, with the models that there are."""
    message = check_refusal(http.post(PATH, json={"model": "text-embedding-3-small", "input": "a"}), 404, "model_not_found", "model")

    assert message.startswith("There is no model 'text-embedding-3-small'; the models are ")
    assert ", token-embedding, " in message


def test_a_model_that_is_not_ready(http: httpx.Client) -> None:
    """A model that could not be loaded is 503 with the reason, and when to come again."""
    answer = http.post(PATH, json={"model": "broken", "input": "a"})

    assert "could not be loaded" in check_refusal(answer, 503, "model-not-ready", None)
    assert "30" == answer.headers["retry-after"]


def test_what_is_no_request(http: httpx.Client) -> None:
    """Other methods, other content types and bodies that are no JSON are refused in the same shape."""
    check_refusal(http.get(PATH), 405, "method-not-allowed", None)
    check_refusal(http.post(PATH, content=b"{", headers={"Content-Type": "application/json"}), 400, "unreadable-json", None)
    answer = http.post(PATH, content=b'{"model": "text-embedding", "input": "a"}', headers={"Content-Type": "text/csv"})
    assert "send one of application/json" in check_refusal(answer, 415, "unsupported-content-type", None)


def test_a_body_without_a_content_type(http: httpx.Client) -> None:
    """A body under no content type is taken for JSON."""
    request = http.build_request("POST", PATH, content=b'{"model": "text-embedding", "input": "cat"}')
    request.headers.pop("content-type", None)

    assert embed(http, "cat") == http.send(request).json()


@pytest.mark.parametrize("fast_lane", [True, False])
def test_a_body_over_the_limit(models: Path, fast_lane: bool) -> None:
    """A body over MAX_BODY_BYTES is refused with both numbers, before it is read for the model's name."""
    with in_process(models, fast_lane=fast_lane, MAX_BODY_BYTES="1000") as http:
        answer = http.post(PATH, json={"model": "no such model", "input": "a" * 1000})

    assert "at most 1000 are taken (MAX_BODY_BYTES)" in check_refusal(answer, 413, "body-too-large", None)
