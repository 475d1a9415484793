"""What confd would write for a node; tests/netns/calico has the real daemon read the same texts."""

from collections.abc import Callable

import pytest
from support.calico_bgp import FILES, PASSWORDS

from calico.bgp.config import bird_config


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_node_s_bird_conf(name: str, golden: Callable[[str, str], None]):
    cluster, node = FILES[name]
    config = bird_config(cluster(), node, PASSWORDS)
    assert config is not None
    golden(f"bird-{name}", str(config))
