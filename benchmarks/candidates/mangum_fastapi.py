"""The usual stack: FastAPI with pydantic models behind Mangum, Powertools Logger and Metrics around it."""

import os
from typing import Any

import numpy as np
import onnxruntime as ort
import orjson
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from fastapi import FastAPI, Request, Response
from mangum import Mangum
from pydantic import BaseModel

logger = Logger(service="rival")
metrics = Metrics(namespace="rival", service="rival")
session = ort.InferenceSession(os.environ["MODEL_FILE"], providers=["CPUExecutionProvider"])
output_names = [output.name for output in session.get_outputs()]
app = FastAPI()


class Query(BaseModel):
    """The body of a request."""

    inputs: dict[str, list[list[float]]]


class Answer(BaseModel):
    """The body of an answer."""

    outputs: dict[str, Any]


def predict(rows_by_input: dict[str, list[list[float]]]) -> dict[str, Any]:
    """Run the model, log one line and count one prediction."""
    inputs = {name: np.asarray(rows, np.float32) for name, rows in rows_by_input.items()}
    values = session.run(None, inputs)
    logger.info("prediction", extra={"inputs": {name: array.shape for name, array in inputs.items()}})
    metrics.add_metric(name="Predictions", unit=MetricUnit.Count, value=1)
    plain = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
    return dict(zip(output_names, plain, strict=True))


@app.post("/predict")
def with_models(query: Query) -> Answer:
    """The endpoint as FastAPI's tutorial writes it: a plain function, pydantic in and out."""
    return Answer(outputs=predict(query.inputs))


@app.post("/predict-bytes")
async def with_bytes(request: Request) -> Response:
    """The endpoint as somebody who has profiled writes it: no worker thread, no pydantic, orjson both ways."""
    outputs = predict(orjson.loads(await request.body())["inputs"])
    return Response(orjson.dumps({"outputs": outputs}, option=orjson.OPT_NON_STR_KEYS), media_type="application/json")


adapter = Mangum(app, lifespan="off")


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one API Gateway HTTP API v2 event."""
    return adapter(event, context)
