"""A property as two tests: with few random cases always, with a thousand in the slow run."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings

MANY = 1000


def few_and_many(check: Callable, few: int, **strategies) -> tuple[Callable, Callable]:
    """Tests of a property.

    Args:
      check: raises where it does not hold; its arguments are drawn.
      few: cases of the first test.
      strategies: by argument.
    """

    def test(count: int) -> Callable:
        how = settings(
            max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        return how(given(**strategies)(check))

    return test(few), pytest.mark.slow(test(MANY))
