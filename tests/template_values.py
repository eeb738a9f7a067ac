"""What CloudFormation makes of the template with some parameters: see :mod:`local.template_values`."""

from typing import Any

from local.template_values import PSEUDO, Values
from tests import template

__all__ = ["PSEUDO", "Values", "made"]


def made(**parameters: str) -> dict[str, Any]:
    """The resources that CloudFormation makes with these parameters, by logical id."""
    return Values(parameters).resources(template.expanded())
