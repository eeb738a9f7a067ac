"""How this project turns a JSON tensor into an array and back: the one place here that knows app/codecs.

It is the whole codec of `/predict`: names, shapes and numbers are checked, the answer carries the model's tag.
"""

from typing import cast

from app.codecs import predict_json
from app.codecs.call import Call, ModelTag
from app.tensors import BY_NAME, Signature, TensorSpec
from benchmarks.json_rivals import Array, Decoder, Encoder


def _signature(rank: int) -> Signature:
    """A model from a float32 X to a float32 Y of the same rank."""
    shape = tuple(f"d{axis}" for axis in range(rank))
    return Signature((TensorSpec("X", BY_NAME["FP32"], shape),), (TensorSpec("Y", BY_NAME["FP32"], shape),))


def decoder(rank: int) -> Decoder:
    """Ours, for tensors of this rank."""
    signature = _signature(rank)

    def decode(document: bytes, _shape: tuple[int, ...]) -> Array:
        return cast(Array, predict_json.decode(document, {}, signature).inputs["X"])

    return decode


def encoder(rank: int) -> Encoder:
    """Ours, for tensors of this rank."""
    signature = _signature(rank)
    call = Call({}, ("Y",))
    tag = ModelTag("iris", "1", "sha256:" + "0" * 64)
    return lambda array: predict_json.encode(call, signature, tag, {"Y": array}).body
