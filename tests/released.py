"""The state dict of a checkpoint of the released code, weights by formula."""

import torch

from tests.small_world import weights

DIM, HEADS, VOCABULARY, POSITIONS, LAYERS, HOPS = 8, 2, 31, 23, 3, 3


def released_state():
    """The state dict of the released model, names and shapes as its code has them, values by formula."""
    shapes = {
        "word_embeddings.weight": (VOCABULARY, DIM),
        "position_embeddings.weight": (POSITIONS, DIM),
        "image_encoder.weight": (DIM, 512),
        "image_encoder.bias": (DIM,),
        "get_state_aware.hidden_state": (1, 1, DIM),
    }
    for hop in range(HOPS):
        for kind in ("txt", "img"):
            shapes[f"get_state_aware.{kind}_layers.{hop}.weight"] = (DIM, DIM)
            shapes[f"get_state_aware.{kind}_layers.{hop}.bias"] = (DIM,)
    stacks = ("history", "attrs", "state")
    for stack in (
        *(f"{name}_encoder" for name in stacks), "state_value_pred", "state_learner", "context_text_self_attention",
        "context_image_self_attention",
    ):  # fmt: skip
        for layer in range(LAYERS):
            part = f"{stack}.layer_stack.{layer}"
            for name in ("w_qs", "w_ks", "w_vs", "fc"):
                shapes[f"{part}.multi_attn.{name}.weight"] = (DIM, DIM)
            for name in ("w_1", "w_2"):
                shapes[f"{part}.pos_ffn.{name}.weight"] = (DIM, DIM, 1)
            for name in ("multi_attn.layer_norm", "pos_ffn.layer_norm"):
                shapes[f"{part}.{name}.weight"] = (DIM,)
            for name in ("multi_attn.layer_norm", "pos_ffn.layer_norm", "pos_ffn.w_1", "pos_ffn.w_2"):
                shapes[f"{part}.{name}.bias"] = (DIM,)
            for name in ("w_qs", "w_ks", "w_vs", "fc"):
                shapes[f"{part}.multi_attn.{name}.bias"] = (DIM,)
    shapes |= {f"pretrained_image_encoder.{name}": shape for name, shape in resnet_shapes()}
    return {
        name: torch.tensor(0) if name.endswith("tracked") else weights(name, shapes[name], seed).float()
        for seed, name in enumerate(sorted(shapes))
    }


def resnet_shapes():
    """ResNet-18 as a Sequential of its children: 0 the first convolution, 1 its norm, 4 to 7 the four layers."""

    def norm(name, width):
        yield from ((f"{name}.{part}", (width,)) for part in ("weight", "bias", "running_mean", "running_var"))
        yield f"{name}.num_batches_tracked", ()

    yield "0.weight", (64, 3, 7, 7)
    yield from norm("1", 64)
    before = 64
    for layer, width in enumerate((64, 128, 256, 512)):
        for block in range(2):
            name = f"{layer + 4}.{block}"
            yield f"{name}.conv1.weight", (width, before, 3, 3)
            yield from norm(f"{name}.bn1", width)
            yield f"{name}.conv2.weight", (width, width, 3, 3)
            yield from norm(f"{name}.bn2", width)
            if before != width:
                yield f"{name}.downsample.0.weight", (width, before, 1, 1)
                yield from norm(f"{name}.downsample.1", width)
            before = width
