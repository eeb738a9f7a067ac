"""Triton's Python client, synchronous and asyncio: every call it has, against a real server in both lanes."""

import asyncio
import base64
import gc
import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import ml_dtypes
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.http.auth import BasicAuth
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

from tests.shells import server

Call = Callable[..., Any]
ROW = np.array([[5.1, 3.5, 1.4, 0.2]], np.float32)


class Synchronous:
    """One call of the synchronous client."""

    client = triton.InferenceServerClient

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, method: str, *arguments: Any, **named: Any) -> Any:
        with self.client(self.url) as client:
            return getattr(client, method)(*arguments, **named)


class Asyncio(Synchronous):
    """The same call of the asyncio client."""

    client = triton_aio.InferenceServerClient

    def __call__(self, method: str, *arguments: Any, **named: Any) -> Any:
        async def call() -> Any:
            async with self.client(self.url) as client:
                return await getattr(client, method)(*arguments, **named)

        # aiohttp warns of what this client does: it hands over large bodies as bytes, and leaves the answers of is_… unread.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            try:
                return asyncio.run(call())
            finally:
                if method.startswith("is_"):
                    gc.collect()


@pytest.fixture(params=[Synchronous, Asyncio], ids=["sync", "asyncio"])
def call(request: pytest.FixtureRequest, address: str) -> Call:
    """Calls a method of either client."""
    found: Call = request.param(address)
    return found


def given(name: str, array: np.ndarray, datatype: str, *, binary: bool = True) -> triton.InferInput:
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def wanted(*names: str, binary: bool = True, **more: Any) -> list[triton.InferRequestedOutput]:
    return [triton.InferRequestedOutput(name, binary_data=binary, **more) for name in names]


def iris(*, binary: bool = True) -> list[triton.InferInput]:
    return [given("X", ROW, "FP32", binary=binary)]


# Calls that answer → what their answer has to be; every other one is refused, with a text of ours.
ANSWERED: dict[str, tuple[tuple[Any, ...], Callable[[Any], bool]]] = {
    "is_server_live": ((), lambda live: live is True),
    "is_server_ready": ((), lambda ready: ready is True),
    "is_model_ready": (("iris",), lambda ready: ready is True),
    "get_server_metadata": ((), lambda server: "binary_tensor_data" in server["extensions"]),
    "get_model_metadata": (("iris",), lambda model: [-1, 4] == model["inputs"][0]["shape"]),
    "get_model_config": (("iris",), lambda config: "TYPE_FP32" == config["input"][0]["data_type"]),
    "get_model_repository_index": ((), lambda index: {"READY", "UNAVAILABLE"} >= {entry["state"] for entry in index} > set()),
    "get_inference_statistics": ((), lambda stats: {"model_stats"} == set(stats)),
    "infer": (("iris", iris()), lambda result: [0] == result.as_numpy("output_label").tolist()),
}
REFUSED: dict[str, tuple[tuple[Any, ...], str, str]] = {
    "load_model": (("iris",), "403", "explicit model load / unload is not allowed: the models are part of the image"),
    "unload_model": (("iris",), "403", "explicit model load / unload is not allowed: the models are part of the image"),
    "get_trace_settings": ((), "404", "Tracing settings are not offered"),
    "update_trace_settings": ((), "404", "Tracing settings are not offered"),
    "get_log_settings": ((), "404", "Logging settings are not offered over HTTP; LOG_LEVEL sets them"),
    "update_log_settings": (({"log_info": True},), "404", "Logging settings are not offered over HTTP; LOG_LEVEL sets them"),
    "get_system_shared_memory_status": ((), "404", "Shared memory is not offered"),
    "register_system_shared_memory": (("r", "/key", 8), "404", "Shared memory is not offered"),
    "unregister_system_shared_memory": ((), "404", "Shared memory is not offered"),
    "get_cuda_shared_memory_status": ((), "404", "Shared memory is not offered"),
    "register_cuda_shared_memory": (("r", base64.b64encode(b"handle"), 0, 8), "404", "Shared memory is not offered"),
    "unregister_cuda_shared_memory": ((), "404", "Shared memory is not offered"),
}
# Each has a test of its own below.
OTHERS = {"async_infer", "close", "generate_request_body", "parse_response_body", "plugin", "register_plugin", "unregister_plugin"}


@pytest.mark.parametrize("half", [Synchronous, Asyncio])
def test_no_call_is_forgotten(half: type[Synchronous]) -> None:
    """Every public call that the installed client has is made by a test of this file."""
    public = {name for name, _ in inspect.getmembers(half.client, inspect.isfunction) if not name.startswith("_")}

    assert ANSWERED.keys() | REFUSED.keys() | (OTHERS - ({"async_infer"} if half is Asyncio else set())) == public


@pytest.mark.parametrize("method", ANSWERED)
def test_calls_that_are_answered(call: Call, method: str) -> None:
    """Each call gets the answer that it reads."""
    arguments, is_right = ANSWERED[method]

    assert is_right(call(method, *arguments))


@pytest.mark.parametrize("method", REFUSED)
def test_calls_that_are_refused(call: Call, method: str) -> None:
    """What is not offered raises the client's exception with our own text."""
    arguments, status, text = REFUSED[method]

    with pytest.raises(InferenceServerException) as raised:
        call(method, *arguments)
    assert status == raised.value.status()
    assert text in str(raised.value.message())


def test_calls_of_one_model(call: Call) -> None:
    """Calls that take a model's name and version answer for that one, and refuse an unknown one with the names that there are."""
    assert call("is_model_ready", "versioned", "2") is True
    assert call("is_model_ready", "broken") is False
    assert call("is_model_ready", "ghost") is False
    assert "versioned" == call("get_model_metadata", "versioned", "2")["name"]
    assert "versioned" == call("get_model_config", "versioned", "2")["name"]
    (found,) = call("get_inference_statistics", "versioned", "2")["model_stats"]
    assert ("versioned", "2") == (found["name"], found["version"])
    with pytest.raises(InferenceServerException, match="Tracing settings are not offered"):
        call("get_trace_settings", "iris")
    for method in ("get_model_metadata", "get_model_config", "get_inference_statistics"):
        with pytest.raises(InferenceServerException, match="There is no model 'ghost'; the models are"):
            call(method, "ghost")
        with pytest.raises(InferenceServerException, match="Model 'iris' has no version '7'; it has 1"):
            call(method, "iris", "7")


VALUES: dict[str, tuple[str, np.ndarray]] = {
    "BOOL": ("identity-bool", np.array([True, False])),
    **{f"UINT{bits}": (f"identity-uint{bits}", np.array([0, 2**bits - 1], f"u{bits // 8}")) for bits in (8, 16, 32, 64)},
    **{
        f"INT{bits}": (f"identity-int{bits}", np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1], f"i{bits // 8}"))
        for bits in (8, 16, 32, 64)
    },
    "FP16": ("identity-float16", np.array([65504, -6e-8], np.float16)),
    "BF16": ("identity-bfloat16", np.array([1.0, -3.3895314e38], ml_dtypes.bfloat16)),
    "FP32": ("identity-float", np.array([1.5, 1e-45], np.float32)),
    "FP64": ("identity-double", np.array([0.1, 5e-324])),
    "BYTES": ("copied-bytes", np.array(["grüße".encode(), b""], np.object_)),
}


@pytest.mark.parametrize("datatype", VALUES)
@pytest.mark.parametrize("raw_in", [True, False], ids=["raw-in", "json-in"])
@pytest.mark.parametrize("raw_out", [True, False], ids=["raw-out", "json-out"])
def test_every_datatype(call: Call, datatype: str, raw_in: bool, raw_out: bool) -> None:
    """Every datatype goes in and comes out by JSON and binary in all four combinations, to the last bit."""
    model, array = VALUES[datatype]
    if datatype == "BF16":
        # releases of the client differ in what stands for BF16 in NumPy
        array = array.astype(triton_to_np_dtype("BF16"))
    name = "copy" if datatype == "BYTES" else "y"
    if datatype == "BF16" and not raw_in:
        with pytest.raises(InferenceServerException, match="BF16 inputs must be sent as binary"):
            given("x", array, datatype, binary=False)
        return

    result = call("infer", model, [given("x", array, datatype, binary=raw_in)], outputs=wanted(name, binary=raw_out))

    assert ("binary_data_size" in result.get_output(name).get("parameters", {})) is raw_out
    found = result.as_numpy(name)
    if datatype == "BYTES" and not raw_out:
        found = np.array([text.encode() for text in found], np.object_)
    assert datatype == result.get_output(name)["datatype"]
    np.testing.assert_array_equal(array, found)


def test_bytes_that_are_no_text(call: Call) -> None:
    """NULs and bytes that are no UTF-8 come back from binary as they went in, and in JSON as base64."""
    array = np.array([b"a\x00b\x00", b"\xff\xfe", b""], np.object_)
    result = call("infer", "copied-bytes", [given("x", array, "BYTES")])
    assert array.tolist() == result.as_numpy("copy").tolist()

    result = call("infer", "copied-bytes", [given("x", array, "BYTES")], outputs=wanted("copy", binary=False))
    assert ["a\x00b\x00", {"b64": "//4="}, ""] == result.get_output("copy")["data"]


@pytest.mark.parametrize("binary", [True, False])
def test_empty_tensors(call: Call, binary: bool) -> None:
    """A tensor without elements goes both ways with its shape."""
    array = np.empty((3, 0), np.float32)
    result = call("infer", "two-free", [given("x", array, "FP32", binary=binary)], outputs=wanted("y", binary=binary))

    assert (3, 0) == result.as_numpy("y").shape


def test_tensors_of_several_kinds(call: Call) -> None:
    """Raw and JSON tensors stand beside each other in one request and one answer."""
    arrays = {"a": np.ones((2, 3), np.float32), "b": np.array([True]), "s": np.array([b"\xff"], np.object_)}
    inputs = [given("a", arrays["a"], "FP32"), given("b", arrays["b"], "BOOL", binary=False), given("s", arrays["s"], "BYTES")]
    result = call("infer", "mixed", inputs, outputs=wanted("s_out", "a_out") + wanted("b_out", binary=False))

    assert all(array.tolist() == result.as_numpy(f"{name}_out").tolist() for name, array in arrays.items())
    assert "data" in result.get_output("b_out")
    assert result.as_numpy("nothing") is None
    assert result.get_output("nothing") is None


@pytest.mark.parametrize("request_algorithm", [None, "gzip", "deflate"])
@pytest.mark.parametrize("response_algorithm", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_compression(call: Call, request_algorithm: str | None, response_algorithm: str | None, binary: bool) -> None:
    """Requests and answers are compressed by either algorithm, with raw tensors and with JSON."""
    array = np.arange(2000, dtype=np.float32)
    result = call(
        "infer",
        "identity-float",
        [given("x", array, "FP32", binary=binary)],
        outputs=wanted("y", binary=binary),
        request_compression_algorithm=request_algorithm,
        response_compression_algorithm=response_algorithm,
    )

    assert array.tolist() == result.as_numpy("y").tolist()


def test_request_id_and_reserved_parameters(call: Call) -> None:
    """The id comes back; what else a request may say of itself changes nothing."""
    result = call(
        "infer",
        "iris",
        iris(),
        model_version="1",
        request_id="of the test",
        sequence_id="s",
        sequence_start=True,
        sequence_end=True,
        priority=3,
        timeout=1000,
        headers={"X-Mine": "1"},
        query_params={"mine": ["1", 2]},
        parameters={"mine": "value", "other": 1.5},
    )
    response = result.get_response()

    assert ("of the test", "iris", "1") == (response["id"], response["model_name"], response["model_version"])
    assert [0] == result.as_numpy("output_label").tolist()


@pytest.mark.parametrize("binary", [True, False])
def test_classification(call: Call, binary: bool) -> None:
    """class_count asks for the best classes of each row, as value, index and label."""
    result = call("infer", "iris", iris(), outputs=wanted("output_probability", binary=binary, class_count=2))
    texts = [text if isinstance(text, str) else text.decode() for text in result.as_numpy("output_probability")[0]]

    assert ["0:setosa", "1:versicolor"] == [text.partition(":")[2] for text in texts]
    assert 1 >= float(texts[0].partition(":")[0]) > float(texts[1].partition(":")[0])


def test_not_a_number(call: Call) -> None:
    """NaN and infinity come out of binary as they are, and of JSON as null, which NumPy reads as NaN."""
    inputs = [given("x", np.array([-1, 0], np.float32), "FP32")]

    assert "[nan, -inf]" == str(call("infer", "logarithm", inputs).as_numpy("y").tolist())
    assert "[nan, nan]" == str(call("infer", "logarithm", inputs, outputs=wanted("y", binary=False)).as_numpy("y").tolist())
    named = call("infer", "logarithm", inputs, outputs=wanted("y", binary=False), parameters={"nan_output": "string"})
    assert "[nan, -inf]" == str(named.as_numpy("y").tolist())
    # the client writes NaN into JSON, which has none
    nan = given("x", np.array([np.nan], np.float32), "FP32", binary=False)
    assert np.isnan(call("infer", "nan-allowed", [nan]).as_numpy("y")).all()
    with pytest.raises(InferenceServerException, match=r"\[422\] input 'x' at \[0\] is NaN; the model expects a finite number"):
        call("infer", "identity-float", [nan])


@pytest.mark.parametrize("binary", [True, False])
def test_errors(call: Call, binary: bool) -> None:
    """The exception has our status and our text, whatever went wrong and however the request was sent."""

    def error(model: str, inputs: list[triton.InferInput], **more: Any) -> str:
        with pytest.raises(InferenceServerException) as raised:
            call("infer", model, inputs, **more)
        assert "decoding the response" not in str(raised.value)
        return str(raised.value)

    doubles = [given("x", np.ones(2), "FP64", binary=binary)]
    assert "[422] inference input 'x' data-type is 'FP64', model expects 'FP32'." == error("identity-float", doubles)
    assert "[422] There is no input 'X'; the model expects 'x' FP32 [n]." == error("identity-float", iris(binary=binary))
    assert "[422] unexpected shape for input 'x': got [1, 4] (rank 2)" in error("identity-float", [given("x", ROW, "FP32", binary=binary)])
    assert "[422] expected 2 inputs but got 0: missing required input(s) input_ids, attention_mask" in error("two-inputs", [])
    assert "[422] There is no output 'z'; the model has output_label" in error("iris", iris(), outputs=wanted("z"))
    assert "[422] output 'output_label' already exists" in error("iris", iris(), outputs=wanted("output_label", "output_label"))
    assert "[404] There is no model 'ghost'" in error("ghost", iris())
    assert "[404] Model 'iris' has no version '2'" in error("iris", iris(), model_version="2")
    assert "[503] Model 'broken' version '1' could not be loaded" in error("broken", iris())
    assert "[422] The model refuses this input" in error("pick", [given("index", np.array([99]), "INT64", binary=binary)])


def test_shared_memory_tensors(call: Call) -> None:
    """A tensor that is said to lie in shared memory, or to be answered there, is refused by that name."""
    shared = triton.InferInput("X", [1, 4], "FP32").set_shared_memory("region", 16)
    answered = wanted("output_label")
    answered[0].set_shared_memory("region", 8)

    for arguments, named in (((("iris", [shared])), {}), (("iris", iris()), {"outputs": answered})):
        with pytest.raises(InferenceServerException, match="Shared memory is not offered"):
            call("infer", *arguments, **named)


def test_large_tensors(call: Call) -> None:
    """A million numbers go in and out, raw and as JSON."""
    array = np.random.default_rng(0).normal(size=1_000_000).astype(np.float32)
    for binary in (True, False):
        result = call("infer", "identity-float", [given("x", array, "FP32", binary=binary)], outputs=wanted("y", binary=binary))
        np.testing.assert_array_equal(array, result.as_numpy("y"))


def test_many_at_once(address: str) -> None:
    """async_infer sends many requests over several connections, and each gets its own answer or its own error."""
    with triton.InferenceServerClient(address, concurrency=4) as client:
        arrays = [np.full(3, i, np.float32) for i in range(40)]
        pending = [client.async_infer("identity-float", [given("x", array, "FP32")], request_id=str(i)) for i, array in enumerate(arrays)]
        wrong = client.async_infer("ghost", iris())

        for i, (array, waiting) in enumerate(zip(arrays, pending, strict=True)):
            result = waiting.get_result(timeout=30)
            assert (str(i), array.tolist()) == (result.get_response()["id"], result.as_numpy("y").tolist())
        with pytest.raises(InferenceServerException, match="There is no model 'ghost'"):
            wrong.get_result(timeout=30)


def test_many_at_once_by_asyncio(address: str) -> None:
    """The asyncio client's gathered requests each get their own answer."""

    async def all_of_them() -> list[Any]:
        async with triton_aio.InferenceServerClient(address) as client:
            inputs = [[given("x", np.full(3, i, np.float32), "FP32")] for i in range(40)]
            return await asyncio.gather(*(client.infer("identity-float", tensors) for tensors in inputs))

    assert [float(i) for i in range(40)] == [result.as_numpy("y")[0] for result in asyncio.run(all_of_them())]


def test_connections_are_kept(address: str) -> None:
    """One connection serves many calls, failed ones among them."""
    with triton.InferenceServerClient(address) as client:
        for _ in range(20):
            assert client.is_model_ready("iris")
            with pytest.raises(InferenceServerException, match="no model"):
                client.infer("ghost", iris())
            assert [0] == client.infer("iris", iris()).as_numpy("output_label").tolist()
        client.close()


def test_plugins(address: str) -> None:
    """A plugin of the client adds its headers, and the server answers as before."""
    plugin = BasicAuth("user", "password")
    with triton.InferenceServerClient(address) as client:
        client.register_plugin(plugin)
        assert plugin is client.plugin()
        assert client.is_server_live()
        assert [0] == client.infer("iris", iris(), headers={}).as_numpy("output_label").tolist()
        client.unregister_plugin()
        assert client.plugin() is None


@pytest.mark.parametrize("half", [Synchronous, Asyncio])
def test_base_path(models: Path, half: type[Synchronous]) -> None:
    """A client whose URL has a path, as a stage or a custom domain puts it there, works below that path."""
    with server(models, fast_lane=True, BASE_PATH="/prod") as client:
        call = half(f"{client.base_url.netloc.decode()}/prod")

        assert call("is_server_ready")
        assert "onnx-lambda" == call("get_server_metadata")["name"]
        assert [0] == call("infer", "iris", iris()).as_numpy("output_label").tolist()


def sent(http: httpx.Client, model: str, inputs: list[triton.InferInput], **more: Any) -> triton.InferResult:
    """What the client's own bytes are answered through a shell that has no socket: no content type, as the client sends none."""
    body, length = triton.InferenceServerClient.generate_request_body(inputs, **more)
    headers = {} if length is None else {"Inference-Header-Content-Length": str(length)}
    answer = http.post(f"/v2/models/{model}/infer", content=body, headers=headers)
    assert "content-type" not in answer.request.headers
    assert 200 == answer.status_code, answer.text
    header = answer.headers.get("inference-header-content-length")
    return triton.InferenceServerClient.parse_response_body(answer.content, header_length=None if header is None else int(header))


@pytest.mark.parametrize("datatype", VALUES)
def test_its_bytes_through_every_shell(http: httpx.Client, datatype: str) -> None:
    """The bytes that the client makes, and those that it gets, pass through Mangum, the fast lane and the emulator unchanged."""
    model, array = VALUES[datatype]
    if datatype == "BF16":
        array = array.astype(triton_to_np_dtype("BF16"))
    result = sent(http, model, [given("x", array, datatype)], request_id="7")

    np.testing.assert_array_equal(array, result.as_numpy("copy" if datatype == "BYTES" else "y"))
    assert "7" == result.get_response()["id"]


def test_its_json_through_every_shell(http: httpx.Client) -> None:
    """So does its JSON: with an answer in JSON, and with the binary one that it asks for where no output is named."""
    assert [0] == sent(http, "iris", iris(binary=False)).as_numpy("output_label").tolist()
    assert [0] == sent(http, "iris", iris(binary=False), outputs=wanted("output_label", binary=False)).as_numpy("output_label").tolist()
    found = sent(http, "iris", iris(), outputs=wanted("output_probability", class_count=1)).as_numpy("output_probability")
    assert found[0, 0].endswith(b":0:setosa")
