"""Every setting, its check, and the config files that come with the package."""

from tf_darts.config.depends import search_sections
from tf_darts.config.fields import FIELDS, NAMES, allow_extensions, default, differences, validate
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
]
