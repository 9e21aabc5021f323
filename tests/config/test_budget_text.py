"""A budget as people say it, read."""

import pytest

from tf_darts.config import budget_text
from tf_darts.errors import UserError


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", {}),
        ("200k", {"max_parameters": 200_000}),
        ("100000", {"max_parameters": 100_000}),
        ("0.2M parameters", {"max_parameters": 200_000}),
        ("40M multiply-adds", {"max_multiply_adds": 40_000_000}),
        ("300 kB", {"max_tflite_kilobytes": 300}),
        ("1.5MB", {"max_tflite_kilobytes": 1500}),
        ("2 ms", {"max_latency_ms": 2}),
        (
            "200k params, 300kB,.5ms",
            {"max_parameters": 200_000, "max_tflite_kilobytes": 300, "max_latency_ms": 0.5},
        ),
    ],
)
def test_limits_by_field(text, limits):
    assert budget_text.parse(text) == pytest.approx(limits)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("small", "'small'"),
        ("200k, 3 5", "'3 5'"),
        ("200k ms", "'200k ms'"),
        ("0", "'0'"),
        ("-5", "'-5'"),
        ("0.5 parameters", "at least 1"),
        ("1k, 2k", "two limits of one kind"),
        ("2 seconds", "'2 seconds'"),
    ],
)
def test_what_is_no_budget_is_named_with_what_is_allowed(text, part):
    with pytest.raises(UserError, match="^config: own_images.budget is ") as error:
        budget_text.parse(text)
    assert part in str(error.value) and "allowed: " in str(error.value)
