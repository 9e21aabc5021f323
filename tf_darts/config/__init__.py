"""Every setting, its check, and the config files that come with the package."""

from tf_darts.config.depends import search_sections
from tf_darts.config.fields import (
    FIELDS,
    NAMES,
    allow_extensions,
    default,
    differences,
    validate,
    with_method,
)
from tf_darts.registry import EXTENSIBLE

__all__ = [
    "EXTENSIBLE",
    "FIELDS",
    "NAMES",
    "allow_extensions",
    "default",
    "differences",
    "search_sections",
    "validate",
    "with_method",
]
