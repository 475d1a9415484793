"""What a bird.conf looks like; tests/netns/bird/test_config.py has the real daemon read the same texts."""

from collections.abc import Callable

import pytest
from support.bird_configs import CONFIGS


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_a_configuration_reads_like_one_by_hand(name: str, golden: Callable[[str, str], None]):
    golden(f"conf-{name}", str(CONFIGS[name]))
