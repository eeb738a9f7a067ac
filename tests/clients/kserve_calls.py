"""Runs in kserve's own environment: makes the calls of its REST client that are asked for, and prints what came back.

A line of standard input: ``{"url", "protocol", "calls": [[method, arguments], …]}``; the line that answers it: for each call ``{"value"}``
or ``{"error"}``.
"""

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferInput, InferRequest, InferResponse, RESTConfig
from kserve.inference_client import InferenceRESTClient
from kserve.protocol.infer_type import RequestedOutput


def request_of(model: str, inputs: list[dict[str, Any]], *, binary: bool, outputs: list[Any], parameters: dict[str, Any]) -> InferRequest:
    """kserve's request: each input is an array and whether it goes raw."""
    tensors = []
    for described in inputs:
        values = described["values"]
        array = np.array([bytes.fromhex(item) for item in values] if described["dtype"] == "object" else values, described["dtype"])
        tensor = InferInput(described["name"], list(array.shape), described["datatype"])
        tensor.set_data_from_numpy(array, binary_data=binary)
        tensors.append(tensor)
    wanted = [RequestedOutput(name, flags) for name, flags in outputs]
    return InferRequest(model, tensors, request_id="of-the-test", parameters=parameters, request_outputs=wanted or None)


def shown(value: Any) -> Any:
    """A client's answer as JSON."""
    if not isinstance(value, InferResponse):
        return value
    outputs = {
        output.name: {"datatype": output.datatype, "shape": output.shape, "values": as_list(output.as_numpy())} for output in value.outputs
    }
    return {"id": value.id, "model": value.model_name, "outputs": outputs}


def as_list(array: np.ndarray) -> list[Any]:
    return [
        item.hex() if isinstance(item, bytes) else item.encode().hex() if isinstance(item, str) else item for item in array.ravel().tolist()
    ]


async def answers(wanted: dict[str, Any]) -> list[Any]:
    """Make each call; a failure is its text."""
    found = []
    async with InferenceRESTClient(RESTConfig(protocol=wanted["protocol"], retries=0)) as client:
        for method, arguments in wanted["calls"]:
            model = arguments.get("model_name")
            if "inputs" in arguments:
                arguments = {"model_name": model, "data": request_of(model, arguments["inputs"], **arguments["how"])}  # noqa: PLW2901
            try:
                found.append({"value": shown(await getattr(client, method)(wanted["url"], **arguments))})
            except httpx.HTTPStatusError as error:
                found.append({"error": str(error)})
    return found


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(asyncio.run(answers(json.loads(line)))), flush=True)
