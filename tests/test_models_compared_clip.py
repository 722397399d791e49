"""CLIP's towers, against transformers' own model."""

import pytest
import torch
import torch.nn.functional as F
from transformers import CLIPConfig, CLIPModel

from semantic.models.compared.clip_towers import DEVIATION, MEAN, ClipText, ClipVision
from tests.small_world import fill, formula

TOWERS = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
PHOTOS = (formula((3, 12, 12, 3), 5) * 127.5 + 127.5).to(torch.uint8)


def small_clip(end=32):
    text = {**TOWERS, "vocab_size": 33, "max_position_embeddings": 7, "bos_token_id": 31, "eos_token_id": end}
    vision = {**TOWERS, "image_size": 8, "patch_size": 4}
    return fill(CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=6))).eval()


@pytest.mark.parametrize("end", [32, 2])
def test_a_text_is_transformers_vector_of_it_between_its_marks(end):
    whole = small_clip(end)
    text = ClipText(whole.config.to_dict()).eval()
    text.tower.load_state_dict({name: whole.state_dict()[name] for name in text.tower.state_dict()})
    tokens = torch.tensor([[5, 7, 11, 0], [13, 0, 0, 0], [0, 0, 0, 0], [1, 3, 4, 6]])
    keep = torch.tensor([[True] * 3 + [False], [True] + [False] * 3, [False] * 4, [True] * 4])

    found = text(tokens, keep)

    for row, pieces in enumerate([[5, 7, 11], [13], None, [1, 3, 4, 6]]):
        if pieces is not None:
            expected = whole.get_text_features(input_ids=torch.tensor([[31, *pieces, 32]])).pooler_output[0]
            torch.testing.assert_close(found[row], expected)
    assert not found[2].any()


def test_a_text_longer_than_the_tower_is_cut():
    text = ClipText(small_clip().config.to_dict()).eval()
    tokens = torch.arange(1, 9).unsqueeze(0)

    assert text.longest == 5
    assert torch.equal(text(tokens, tokens > 0), text(tokens[:, :5], tokens[:, :5] > 0))


def test_a_text_is_encoded_once_and_anew_with_other_weights():
    whole = small_clip()
    text = ClipText(whole.config.to_dict()).eval()
    tokens, keep = torch.tensor([[5, 7], [5, 7]]), torch.ones(2, 2, dtype=torch.bool)
    calls = []
    text.tower.register_forward_hook(lambda *_: calls.append(1))

    first = text(tokens, keep)
    assert torch.equal(text(tokens, keep), first)
    assert len(calls) == 1
    text.load_state_dict(fill(ClipText(whole.config.to_dict())).state_dict())
    assert not torch.allclose(text(tokens, keep), first)


def test_a_photo_is_transformers_vector_of_the_scaled_picture():
    whole = small_clip()
    vision = ClipVision(whole.config.to_dict()).eval()
    vision.network.load_state_dict({name: whole.state_dict()[name] for name in vision.network.state_dict()})
    pictures = F.interpolate(PHOTOS.permute(0, 3, 1, 2).float() / 255, (8, 8), mode="bicubic", antialias=True).clamp(
        0, 1
    )
    scaled = (pictures - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)

    found = vision(PHOTOS)

    assert vision.cacheable
    assert found.shape == (3, vision.features) == (3, 6)
    torch.testing.assert_close(found, whole.get_image_features(pixel_values=scaled).pooler_output)
