# SPDX-License-Identifier: MIT
"""The generative head: nothing at realism 0, as much as is asked for above, the same in strips."""

import pytest
import torch
from helpers.heads import install_head, random_head
from helpers.tiny_hyperprior import tiny_model

from vgic_lib.models import hyperprior
from vgic_lib.models.head import RealismHead
from vgic_lib.models.store import find_head, list_models
from vgic_lib.networks.head import noise_like


@pytest.fixture(scope="module")
def body():
    return tiny_model().eval().requires_grad_(False)


def latents_of(body, height, width, quality=40):
    x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(5))
    setting = body.setting(quality)
    return body.rounded(body.analysis(x, setting), setting), setting, (height, width)


def test_realism_is_a_share_of_what_the_head_adds(body):
    head, places = random_head(body), latents_of(body, 50, 70)
    plain, half, whole = (head.synthesis(body, *places, realism) for realism in (0.0, 0.5, 1.0))
    assert torch.equal(plain, body.synthesis(*places))
    inside = (whole > 0) & (whole < 1) & (plain > 0) & (plain < 1)
    assert inside.float().mean() > 0.5
    assert torch.allclose(half[inside], (plain + whole)[inside] / 2, atol=1e-6)
    assert (whole - plain).abs().mean() > 0.003
    assert torch.equal(whole, head.synthesis(body, *places, 1.0))


def test_what_is_added_weakly_is_left_out(body, monkeypatch):
    """As in a sky, where it would show as a pattern; what is strong stays."""
    head, places = random_head(body), latents_of(body, 64, 64)
    picture = torch.full((1, 3, 64, 64), 0.0)
    monkeypatch.setattr(body.network.synthesis, "forward", lambda y, quality: picture)
    pattern = torch.ones(64).addcmul(torch.tensor(-2.0), torch.arange(64) % 2)

    def left(levels):
        added = (levels / 255 * pattern).expand(1, 3, 64, 64)
        monkeypatch.setattr(head.network, "forward", lambda *_: added)
        return (head.synthesis(body, *places, 1.0) - 0.5).abs().mean().item() * 255 / levels

    assert left(1.0) == pytest.approx(0.1, abs=0.01)
    assert left(3.0) == pytest.approx(0.5, abs=0.01)
    assert left(12.0) == pytest.approx(16 / 17, abs=0.01)


def test_strips_make_the_same_picture(body, monkeypatch):
    head, places = random_head(body), latents_of(body, 1000, 40)
    whole = head.synthesis(body, *places, 1.0)
    monkeypatch.setattr(hyperprior, "STRIP", 3 * 20)
    assert torch.equal(head.synthesis(body, *places, 1.0), whole)


def test_noise_is_the_same_for_the_same_size():
    y = torch.zeros(1, 5, 6, 7)
    assert torch.equal(noise_like(y), noise_like(y + 1))
    assert not torch.equal(noise_like(y), noise_like(y, seed=1))
    assert noise_like(y).std() == pytest.approx(1, abs=0.1)


def test_a_head_comes_back_and_is_no_model(home, body):
    installed = install_head(home)
    found = find_head(installed)
    expected = random_head(installed)
    assert isinstance(found, RealismHead)
    assert found.sizes == installed.network.architecture
    assert found.body_id == installed.model_id
    assert find_head(installed) is found
    places = latents_of(installed, 32, 48)
    difference = found.synthesis(installed, *places, 1.0) - expected.synthesis(installed, *places, 1.0)
    assert difference.abs().max() < 0.01
    assert not any("head" in card.path.name for card in list_models())
