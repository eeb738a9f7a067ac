"""The image with its optional libraries built in."""

import io

import numpy as np
import pyarrow as pa
import pytest

from tests.containers import engine


@pytest.fixture(scope="module")
def image_with_extras() -> str:
    """The image as `docker build --build-arg EXTRAS="arrow text"` makes it."""
    tag = "onnx-lambda:test-extras"
    engine.docker("build", "--quiet", "--build-arg", "EXTRAS=arrow text", "--tag", tag, str(engine.ROOT), timeout=900)
    return tag


@pytest.mark.containers
def test_image_reads_arrow_and_parquet(image_with_extras: str) -> None:
    """With the extra `arrow` built in, a hardened container answers an Arrow stream and a Parquet file, and has the library for text."""
    import pyarrow.parquet as pq

    table = pa.table({name: [1.0, 2.0] for name in ("sepal_length", "sepal_width", "petal_length", "petal_width")})
    stream, file = io.BytesIO(), io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    pq.write_table(table, file, compression="zstd")

    with engine.served(image_with_extras, flags=engine.HARDENED) as (_, client):
        answers = [
            client.post(
                "/predict",
                content=body.getvalue(),
                headers={"Content-Type": f"application/vnd.apache.{kind}", "Accept": "application/x-npz"},
            )
            for body, kind in ((stream, "arrow.stream"), (file, "parquet"))
        ]

    for answer in answers:
        assert 200 == answer.status_code, answer.text
        assert (2, 3) == np.load(io.BytesIO(answer.content))["output_probability"].shape
    assert "ok" in engine.python(image_with_extras, "import onnxruntime_extensions; print('ok')")
