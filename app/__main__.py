"""``python -m app`` is the command ``onnx-lambda``."""

import sys

from app.cli import main

sys.exit(main())
