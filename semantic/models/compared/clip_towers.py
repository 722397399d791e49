"""CLIP's two frozen towers: pictures and texts as vectors whose cosine says how well they match."""

from collections import ChainMap
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from semantic.encoders.image import Backbone

MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the channels of the pictures that CLIP was trained on (Radford et al., 2021)."""

REMEMBERED = 200_000
"""Texts whose vectors are kept through a pass over the data: the tower is frozen."""


class ClipVision(Backbone):
    """The projected vector of a picture, resized to what the tower reads."""

    SCALING = "CLIP"

    def __init__(self, config: Mapping[str, Any]) -> None:
        from transformers import CLIPConfig, CLIPVisionModelWithProjection

        nn.Module.__init__(self)  # the tower in place of a backbone by name
        vision = CLIPConfig(**config).vision_config
        vision.projection_dim = config["projection_dim"]
        self.name, self.frozen, self.batch_norm = "clip", True, "eval"
        self.size = vision.image_size
        self.network = CLIPVisionModelWithProjection(vision)
        self.features = vision.projection_dim
        self.requires_grad_(False)

    def forward(self, photos: UInt8[Tensor, "photo height width 3"]) -> Float[Tensor, "photo feature"]:
        mean, deviation = (torch.tensor(v, device=photos.device).view(3, 1, 1) for v in (MEAN, DEVIATION))
        scaled = photos.permute(0, 3, 1, 2).float().div(255)
        resized = F.interpolate(scaled, (self.size, self.size), mode="bicubic", antialias=True).clamp(0, 1)
        weight = next(self.network.parameters())
        with torch.no_grad():
            return self.network(pixel_values=((resized - mean) / deviation).to(weight.dtype)).image_embeds


class ClipText(nn.Module):
    """The projected vector of a text, of word pieces without CLIP's marks of its begin and end."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        from transformers import CLIPConfig, CLIPTextModelWithProjection

        super().__init__()
        text = CLIPConfig(**config).text_config
        text.projection_dim = config["projection_dim"]
        self.tower = CLIPTextModelWithProjection(text)
        self.longest = text.max_position_embeddings - 2
        self.width = text.projection_dim
        # The tower reads off the first mark of the end; of old configurations, which say 2, that is the highest piece.
        self.begin, self.end = text.bos_token_id, text.eos_token_id
        if self.end == 2:
            self.begin, self.end = text.vocab_size - 2, text.vocab_size - 1
        self.known: dict[bytes, Tensor] = {}
        self.requires_grad_(False)

    def forward(self, tokens: Int[Tensor, "text token"], keep: Bool[Tensor, "text token"]) -> Float[Tensor, "text dim"]:
        """The vectors of texts; an empty one gives zeros."""
        found = next(self.parameters()).new_zeros(len(tokens), self.width)
        rows = [row[kept][: self.longest] for row, kept in zip(tokens.cpu(), keep.cpu(), strict=True)]
        texts = {row.numpy().tobytes(): row for row in rows if len(row)}
        new = {text: row for text, row in texts.items() if text not in self.known}
        vectors: Mapping[bytes, Tensor] = self.known
        if new:
            made = dict(zip(new, self._encode([*new.values()]), strict=True))
            if len(self.known) + len(made) <= REMEMBERED:
                self.known.update(made)
            else:
                vectors = ChainMap(made, self.known)
        for place, row in enumerate(rows):
            if len(row):
                found[place] = vectors[row.numpy().tobytes()]
        return found

    def train(self, mode: bool = True) -> "ClipText":
        self.known = {}  # each pass over the data begins alike, whether the run was resumed before it or not
        return super().train(mode)

    def _apply(self, *arguments: Any, **named: Any) -> Any:
        self.known = {}  # of weights on another device or in another precision
        return super()._apply(*arguments, **named)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self.known = {}
        super()._load_from_state_dict(*arguments)

    @torch.no_grad()
    def _encode(self, rows: list[Tensor]) -> list[Tensor]:
        device, longest = next(self.parameters()).device, max(map(len, rows)) + 2
        ids = torch.full((len(rows), longest), self.end)
        ids[:, 0] = self.begin
        for place, row in enumerate(rows):
            ids[place, 1 : 1 + len(row)] = row
        with torch.autocast(device.type, enabled=False):  # what is remembered serves every precision
            return [*self.tower(input_ids=ids.to(device)).text_embeds]
