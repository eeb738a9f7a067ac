"""OpenAI's own Python client, unchanged, against ``onnx-lambda serve``."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest

from tests import graphs
from tests.shells import server

HELLO_CAT, HELLO = [0, 34, 37, 1], [0, 34, 1]


@pytest.fixture(scope="module", params=[True, False], ids=["fast-lane", "fastapi"])
def url(request: pytest.FixtureRequest, models: Path) -> Iterator[str]:
    with server(models, fast_lane=request.param) as http:
        yield f"{http.base_url}/v1"


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key="sk-any", max_retries=0) as found:
        yield found


def vectors(answer: openai.types.CreateEmbeddingResponse) -> np.ndarray:
    assert "list" == answer.object
    assert list(range(len(answer.data))) == [item.index for item in answer.data]
    assert {"embedding"} == {item.object for item in answer.data}
    return np.array([item.embedding for item in answer.data], np.float32)


def expected(*rows: list[int]) -> np.ndarray:
    return np.array([graphs.embedding_table()[row].mean(axis=0) for row in rows])


def test_texts(client: openai.OpenAI) -> None:
    """One text or a list of them, in the base64 that the client asks for by itself, with the tokens that were used."""
    one = client.embeddings.create(model="text-embedding", input="hello cat")
    two = client.embeddings.create(model="text-embedding", input=["hello cat", "hello"], user="somebody")

    np.testing.assert_allclose(expected(HELLO_CAT), vectors(one), rtol=1e-5)
    np.testing.assert_allclose(expected(HELLO_CAT, HELLO), vectors(two), rtol=1e-5)
    assert ("text-embedding", 7, 7) == (two.model, two.usage.prompt_tokens, two.usage.total_tokens)


def test_the_client_asks_for_base64(client: openai.OpenAI) -> None:
    """Without a wish of the caller's the client asks for base64, and reads from it what numbers would say."""
    raw = client.embeddings.with_raw_response.create(model="text-embedding", input="hello")
    numbers = client.embeddings.create(model="text-embedding", input="hello", encoding_format="float")

    assert isinstance(raw.http_response.json()["data"][0]["embedding"], str)
    np.testing.assert_array_equal(vectors(numbers), vectors(raw.parse()), strict=True)


def test_token_ids(client: openai.OpenAI) -> None:
    """One list of token ids or several of unequal length, as LangChain sends them."""
    one = client.embeddings.create(model="token-embedding", input=[5, 6, 7])
    two = client.embeddings.create(model="token-embedding", input=[[5, 6, 7], [8]])

    np.testing.assert_allclose(expected([5, 6, 7]) + 0.5, vectors(one), rtol=1e-5)
    np.testing.assert_allclose(expected([5, 6, 7], [8]) + np.array([[0.5], [0]]), vectors(two), rtol=1e-5)
    assert 4 == two.usage.total_tokens


def test_dimensions(client: openai.OpenAI) -> None:
    """Fewer dimensions come at length 1."""
    found = vectors(client.embeddings.create(model="text-embedding", input=["hello", "cat"], dimensions=3))

    assert (2, 3) == found.shape
    np.testing.assert_allclose([1, 1], np.linalg.norm(found, axis=1), rtol=1e-6)


def test_refusals(client: openai.OpenAI) -> None:
    """The client's exceptions carry the message, the parameter and the code."""
    with pytest.raises(openai.BadRequestError, match="input 1 is an empty text") as refused:
        client.embeddings.create(model="text-embedding", input=["a", ""])
    assert ("input", "wrong-shape", "invalid_request_error") == (refused.value.param, refused.value.code, refused.value.type)
    assert refused.value.request_id
    with pytest.raises(openai.BadRequestError, match="vectors have 8"):
        client.embeddings.create(model="text-embedding", input="a", dimensions=9)
    with pytest.raises(openai.NotFoundError, match="There is no model 'text-embedding-3-small'") as unknown:
        client.embeddings.create(model="text-embedding-3-small", input="a")
    assert ("model", "model_not_found") == (unknown.value.param, unknown.value.code)
    with pytest.raises(openai.InternalServerError, match="could not be loaded"):
        client.embeddings.create(model="broken", input="a")


def test_asynchronously(url: str) -> None:
    """The asynchronous client gets the same, many requests at once."""

    async def create() -> list[openai.types.CreateEmbeddingResponse]:
        async with openai.AsyncOpenAI(base_url=url, api_key="sk-any", max_retries=0) as client:
            texts = ["hello cat", "hello"] * 8
            found = await asyncio.gather(*(client.embeddings.create(model="text-embedding", input=text) for text in texts))
            with pytest.raises(openai.BadRequestError, match="takes text, not token ids"):
                await client.embeddings.create(model="text-embedding", input=[1, 2])
            assert "text-embedding" in [model.id async for model in client.models.list()]
            return found

    for answer, row in zip(asyncio.run(create()), [HELLO_CAT, HELLO] * 8, strict=True):
        np.testing.assert_allclose(expected(row), vectors(answer), rtol=1e-5)


def test_models(client: openai.OpenAI, models: Path) -> None:
    """Every model is listed and can be retrieved by its name; one that there is not is the client's NotFoundError."""
    listed = client.models.list().data

    assert {folder.name for folder in models.iterdir() if folder.is_dir()} == {model.id for model in listed}
    assert {("model", True)} == {(model.object, model.created >= 0) for model in listed}
    iris = client.models.retrieve("iris")
    assert ("iris", "model") == (iris.id, iris.object)
    assert [(iris.created, iris.owned_by)] == [(model.created, model.owned_by) for model in listed if model.id == "iris"]
    with pytest.raises(openai.NotFoundError) as unknown:
        client.models.retrieve("no-such-model")
    # The path is TensorFlow Serving's and KServe's too, whose clients read a string there.
    assert "There is no model 'no-such-model'" in str(unknown.value.body)


def test_base_path(models: Path) -> None:
    """A base URL below a path, as a stage or a custom domain puts it there, works."""
    with (
        server(models, fast_lane=True, BASE_PATH="/prod") as http,
        openai.OpenAI(base_url=f"{http.base_url}/prod/v1", api_key="sk-any", max_retries=0) as client,
    ):
        np.testing.assert_allclose(expected(HELLO), vectors(client.embeddings.create(model="text-embedding", input="hello")), rtol=1e-5)
