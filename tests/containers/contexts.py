"""Copies of what an image is built of, to be changed."""

import shutil
from pathlib import Path

from tests.containers import engine

PARTS = ("Dockerfile", ".dockerignore", "entrypoint.sh", "handler.py", "app", "deployment", "models", "requirements")


def copied(context: Path) -> Path:
    """A folder that `docker build` takes for the checkout."""
    context.mkdir()
    for name in PARTS:
        source = engine.ROOT / name
        if source.is_dir():
            shutil.copytree(source, context / name, ignore=shutil.ignore_patterns("__pycache__", "*.prepared.*", "models.lock"))
        else:
            shutil.copy(source, context / name)
    return context
