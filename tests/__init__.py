"""The specification, as tests."""

import os
from pathlib import Path

# `handler` loads its models when it is imported, which must not depend on the shell or the folder that the tests start from.
os.environ["MODEL_DIR"] = str(Path(__file__).parent.parent / "models")
