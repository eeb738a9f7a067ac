"""The state machine's definition, with what the template substitutes in it."""

import json
from pathlib import Path
from typing import Any

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:batch"
FILE = Path(__file__).parent.parent.parent / "statemachines" / "batch_predict.asl.json"


def machine() -> dict[str, Any]:
    """The definition as Step Functions gets it."""
    text = FILE.read_text().replace("${Partition}", "aws").replace("${BatchFunctionArn}", FUNCTION)
    assert "${" not in text
    found: dict[str, Any] = json.loads(text)
    return found
