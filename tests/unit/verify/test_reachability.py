from hypothesis import given
from hypothesis import strategies as st

from fabric.verify.reachability import ALL_PAIRS_MAX, Matrix, choose_pairs


@given(st.lists(st.sampled_from(["node-1", "node-2", "node-3"]), max_size=40))
def test_a_small_cluster_is_asked_for_every_ordered_pair(nodes):
    pairs, whole = choose_pairs(nodes, arp_entries_max=10_000)
    assert whole
    assert len(set(pairs)) == len(nodes) * (len(nodes) - 1)


@given(st.integers(110, 300), st.integers(1, 12))
def test_a_large_cluster_is_asked_for_each_pod_from_every_node(pods, nodes):
    placed = [f"node-{index % nodes}" for index in range(pods)]
    pairs, whole = choose_pairs(placed, arp_entries_max=1 << 20)
    assert not whole
    assert len(pairs) < ALL_PAIRS_MAX
    asked = set(pairs)
    for pod in range(pods):
        for node in set(placed):
            others = [other for other in range(pods) if placed[other] == node and other != pod]
            assert any((other, pod) in asked for other in others)


def test_the_sentence_names_the_pairs_that_failed():
    matrix = Matrix(12, 11, True, (("default/pod-1", "default/pod-3"),))
    assert matrix.sentence() == "11/12 pod pairs reachable\n  default/pod-1 does not reach default/pod-3"
    assert not matrix.complete


def test_the_sentence_counts_the_pairs_that_policies_keep_apart():
    matrix = Matrix(2, 2, True, closed=10)
    assert matrix.sentence() == "2/2 pod pairs reachable, 10 closed by policies"
    assert matrix.complete


def test_a_small_arp_table_is_not_overflowed_by_asking_for_all_pairs():
    placed = [f"node-{index % 4}" for index in range(100)]
    pairs, whole = choose_pairs(placed, arp_entries_max=768)
    assert not whole
    same_node = {(a, b) for a, b in pairs if placed[a] == placed[b]}
    assert len(same_node) == 100
