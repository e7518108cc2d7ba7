"""Which layers a density and a placement pick."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ssmlora import Site, candidate_sites, count_links, select_sites
from ssmlora.placement import PLACEMENTS
from tests.ssmlora.tiny import bert, llama, t5


def grid(layers: int, kinds: tuple[str, ...] = ("query", "value")) -> list[Site]:
    return [Site.of(f"encoder.layer.{i}.attention.{k}") for i in range(layers) for k in kinds]


def drawn(sites: list[Site]) -> str:
    """`q v q v` for the paper's half: one column a layer."""
    layers = max(site.layer for site in sites) + 1
    columns = ["".join(s.kind[0] for s in sites if s.layer == i) for i in range(layers)]
    return " ".join(column or "-" for column in columns)


@pytest.mark.parametrize(
    ("density", "placement", "picture", "links"),
    [
        (1, "alternate", "qv qv qv qv qv qv", 10),
        (0.5, "alternate", "q v q v q v", 4),
        (0.25, "alternate", "q - v - q", 1),
        (0.125, "alternate", "q - - v", 0),
        (0.75, "alternate", "qv q qv v qv q", 7),
        (0.5, "even", "qv - qv - qv", 4),
        (0.5, "first", "qv qv qv", 4),
        (0.5, "last", "- - - qv qv qv", 4),
        (0.01, "alternate", "q", 0),
    ],
)
def test_six_layers(density: float, placement: str, picture: str, links: int) -> None:
    sites = select_sites(grid(6), density, placement)
    assert drawn(sites) == picture
    assert count_links(sites) == links


@given(
    layers=st.integers(1, 40),
    kinds=st.integers(1, 4),
    density=st.decimals("0.001", "1", places=3).map(float),
    placement=st.sampled_from(PLACEMENTS),
    seed=st.integers(0, 5),
)
def test_properties(layers: int, kinds: int, density: float, placement: str, seed: int) -> None:
    candidates = grid(layers, ("query", "value", "key", "out")[:kinds])
    sites = select_sites(candidates, density, placement, seed)
    exact = Fraction(str(density)) * len(candidates)
    assert len(sites) == max(1, int(exact + Fraction(1, 2)))
    assert len(set(sites)) == len(sites)
    assert sites == [site for site in candidates if site in set(sites)]  # depth order
    assert sites == select_sites(candidates, density, placement, seed)
    assert 0 <= count_links(sites) < len(sites)
    per_kind = [sum(site.kind == kind for site in sites) for kind in {s.kind for s in candidates}]
    per_layer = [sum(site.layer == i for site in sites) for i in range(layers)]
    if placement in ("alternate", "even"):
        assert max(per_kind) - min(per_kind) <= 1
    if placement == "alternate":
        assert max(per_layer) - min(per_layer) <= 1


def test_ties_round_up_as_decimals() -> None:
    assert len(select_sites(grid(25), 0.29)) == 15  # 14.5, and 14.499... in binary


@given(drop=st.sets(st.integers(0, 11), max_size=11), density=st.sampled_from([0.25, 0.5, 0.75, 1]))
def test_stacks_with_gaps(drop: set[int], density: float) -> None:
    candidates = [site for i, site in enumerate(grid(6)) if i not in drop]
    for placement in PLACEMENTS:
        sites = select_sites(candidates, density, placement)
        assert len(sites) == max(1, int(Fraction(density) * len(candidates) + Fraction(1, 2)))


def test_small_randomepends_on_its_seed() -> None:
    drawings = {drawn(select_sites(grid(12), 0.5, "random", seed)) for seed in range(4)}
    assert len(drawings) > 1


def test_an_explicit_list() -> None:
    names = ["encoder.layer.3.attention.value", "encoder.layer.0.attention.query"]
    assert [s.name for s in select_sites(grid(6), placement=names)] == names[::-1]
    with pytest.raises(ValueError, match=r"nearest: encoder\.layer\.3\.attention\.value"):
        select_sites(grid(6), placement=["encoder.layer.3.attention.valu"])
    with pytest.raises(ValueError, match="each name once"):
        select_sites(grid(6), placement=[names[0], names[0]])
    with pytest.raises(ValueError, match="each name once"):
        select_sites(grid(6), placement=[])
    with pytest.raises(ValueError, match="density at 1"):
        select_sites(grid(6), density=0.5, placement=names)


@pytest.mark.parametrize("density", [0, -1, 1.01, float("nan")])
def test_densities_refused(density: float) -> None:
    with pytest.raises(ValueError, match="density"):
        select_sites(grid(6), density)


def test_placements_refused() -> None:
    with pytest.raises(ValueError, match="placement"):
        select_sites(grid(6), 0.5, "sideways")
    with pytest.raises(ValueError, match="no candidate"):
        select_sites([])


def test_candidates_of_real_models() -> None:
    sites = candidate_sites(bert(layers=3))
    assert [(site.layer, site.kind) for site in sites] == [
        (i, kind) for i in range(3) for kind in ("query", "value")
    ]
    assert sites[0].name == "bert.encoder.layer.0.attention.self.query"
    assert {site.kind for site in candidate_sites(llama())} == {"q_proj", "v_proj"}
    assert {site.kind for site in candidate_sites(llama(), ["o_proj"])} == {"o_proj"}


def test_more_than_nine_layers_stay_in_order() -> None:
    assert [s.layer for s in candidate_sites(bert(layers=11), ["query"])] == list(range(11))


def test_an_encoder_decoder_has_three_pairs_of_axes() -> None:
    sites = candidate_sites(t5(layers=2))
    assert len(sites) == 12
    assert len({site.axis for site in sites}) == 6
    assert count_links(sites) == 6
    half = select_sites(sites, 0.5)
    assert [
        drawn([s for s in half if s.group == g]) for g in dict.fromkeys(s.group for s in half)
    ] == ["q v"] * 3


def test_unknown_architectures_are_told_what_to_pass() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    with pytest.raises(ValueError, match="target_modules="):
        candidate_sites(model)
    assert [site.name for site in candidate_sites(model, ["0", "2"])] == ["0", "2"]
    with pytest.raises(ValueError, match="match no linear layer"):
        candidate_sites(model, ["7"])
