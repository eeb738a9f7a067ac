"""Wire formats: one file a format, and this table. A codec turns bytes into checked arrays and a model's outputs into bytes."""

from app.codecs import predict_json
from app.codecs.call import Codec

# dialect → content type of the request → codec. A new content type is one file and one row here.
CODECS: dict[str, dict[str, Codec]] = {
    "predict": {predict_json.content_type: predict_json},
}
