"""Image encoders: torchvision and timm backbones by name, and the layers from their features to vectors."""

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from semantic.runtime.errors import UserError
from semantic.runtime.reading import ReadingError, check_readable


class BackboneError(UserError):
    """A backbone or weights that are not available. The message says where, what was expected and what was found."""


class Backbone(nn.Module):
    """A convolutional network without its classifier: a feature vector for each uint8 photo.

    Photos are scaled to [-1, 1] as in the released code. `frozen` turns gradients off. `batch_norm="eval"` keeps BatchNorm
    on its running statistics in training too, so that a photo's features do not depend on its batch.
    """

    SCALING = "[-1, 1]"

    def __init__(self, name: str, *, frozen: bool, batch_norm: str) -> None:
        super().__init__()
        if batch_norm not in ("train", "eval"):
            raise ValueError(f"backbone batch_norm: expected 'train' or 'eval', got {batch_norm!r}")
        self.name = name
        self.frozen = frozen
        self.batch_norm = batch_norm
        self.network, self.features = _headless(name)
        self.left_out = {"fc", "classifier", "head"}  # of the network's whole weights
        self.requires_grad_(not frozen)

    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        if self.batch_norm == "eval":
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    @property
    def cacheable(self) -> bool:
        """Whether a photo's features never change, so that they can be computed once."""
        return self.frozen and self.batch_norm == "eval"

    def forward(self, photos: UInt8[Tensor, "photo height width 3"]) -> Float[Tensor, "photo feature"]:
        scaled = photos.permute(0, 3, 1, 2).float().div(127.5).sub(1.0).contiguous(memory_format=torch.channels_last)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.network(scaled).flatten(1)

    def load(self, weights: str) -> None:
        """Load weights: "pretrained" for those of the hub, or the path of a safetensors file with the network's names."""
        if weights == "pretrained":
            self.network.load_state_dict(_hub_weights(self.name), strict=False)
            return
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            check_readable(Path(weights))
        except ReadingError as error:
            raise BackboneError(
                f"image weights: expected a safetensors file or 'pretrained', got {weights!r}, found {error}"
            ) from None
        try:
            state = load_file(weights)
        except SafetensorError as error:
            raise BackboneError(
                f"image weights {weights}: expected a safetensors file, got one that does not read: {error}"
            ) from None
        own = self.network.state_dict()
        state = {name: value for name, value in state.items() if name.split(".")[0] not in self.left_out}
        # num_batches_tracked matters only without a momentum, which is not used here; many files leave it out.
        missing = sorted(n for n in own.keys() - state.keys() if not n.endswith("num_batches_tracked"))
        unknown = sorted(state.keys() - own.keys())
        shapes = [n for n in own.keys() & state.keys() if own[n].shape != state[n].shape]
        if missing or unknown or shapes:
            faults = [f"{len(missing)} missing (first {missing[0]})"] if missing else []
            faults += [f"{len(unknown)} unknown (first {unknown[0]})"] if unknown else []
            faults += [f"{len(shapes)} of another shape (first {min(shapes)})"] if shapes else []
            raise BackboneError(
                f"image weights {weights}: expected the tensors of {self.name}, got {', '.join(faults)}"
            )
        self.network.load_state_dict({name: value.float() for name, value in state.items()}, strict=False)


class MapBackbone(Backbone):
    """The map of a layer of the network, averaged to `grid` x `grid` places: [channel, grid, grid], flattened, for each photo."""

    def __init__(self, name: str, layer: str, grid: int, *, frozen: bool, batch_norm: str) -> None:
        super().__init__(name, frozen=frozen, batch_norm=batch_norm)
        parts = dict(self.network.named_children())
        if layer not in parts:
            raise BackboneError(f"image layer: expected one of {', '.join(parts)}, the parts of {name}, got {layer!r}")
        names = list(parts)
        kept = names[: names.index(layer) + 1]
        self.left_out |= {*names} - {*kept}
        self.network = nn.Sequential(OrderedDict((part, parts[part]) for part in kept))
        self.network.append(nn.AdaptiveAvgPool2d(grid))
        self.name = f"{name}-{layer}-{grid}"
        self.grid = grid
        small, large = (_map_shape(self.network[:-1].eval(), pixels) for pixels in (64, 96))
        if small is None or large is None or small[0] != large[0] or small[1:] == large[1:] or grid > min(small[1:]):
            raise BackboneError(
                f"image layer {layer!r} of {name}: expected a map [channel, height, width] of {grid} places a side or more for "
                f"a photo of 64 pixels, got {list(small) if small is not None else 'none'}"
            )
        self.train()
        self.channels = small[0]
        self.features = self.channels * grid**2


def _map_shape(network: nn.Module, pixels: int) -> tuple[int, ...] | None:
    """The shape of what a network gives of a photo, where it has three axes."""
    try:
        with torch.no_grad():
            found = network(torch.zeros(1, 3, pixels, pixels))
    except (RuntimeError, ValueError, TypeError, AssertionError):  # it wants other sizes, or other inputs
        return None
    return tuple(found.shape[1:]) if isinstance(found, Tensor) and found.dim() == 4 else None


def _headless(name: str) -> tuple[nn.Module, int]:
    """The named network without its classifier, and the width of its features."""
    import torchvision

    if name in torchvision.models.list_models(module=torchvision.models):
        network = torchvision.models.get_model(name, weights=None)
        for head in ("fc", "classifier", "heads", "head"):
            if hasattr(network, head):
                linear = next(m for m in getattr(network, head).modules() if isinstance(m, nn.Linear))
                setattr(network, head, nn.Identity())
                return network, linear.in_features
        raise BackboneError(f"image backbone {name!r}: expected a network with a classifier to remove, got one without")
    import timm

    if not timm.is_model(name):
        raise BackboneError(f"image backbone: expected the name of a torchvision or timm model, got {name!r}")
    network = timm.create_model(name, pretrained=False, num_classes=0)
    return network, network.num_features


def _hub_weights(name: str) -> dict[str, Tensor]:
    import timm
    import torchvision

    try:
        if name in torchvision.models.list_models(module=torchvision.models):
            return torchvision.models.get_model(name, weights="DEFAULT").state_dict()
        return timm.create_model(name, pretrained=True, num_classes=0).state_dict()
    except (OSError, RuntimeError, ValueError) as error:  # of the network, a download that is damaged, no such weights
        raise BackboneError(
            f"image weights of {name}: expected to download them, got {type(error).__name__}; "
            "give a local safetensors file as model.image.weights, or null for weights from scratch"
        ) from None


class WhitenedImageEncoder(nn.Module):
    """v = D^-1 U^T (features - mean) / deviation: PCA whitening over the catalogue, not trained.

    U are the principal directions of the catalogue's standardised features, D the deviations along them. Cosines between
    different photos are then small, so a photo is nearest to itself. Departs from the paper's trained layer, which
    over-fits a small data set.
    """

    weight: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, features: int, dim: int) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("weight", torch.zeros(dim, features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))

    @torch.no_grad()
    def fit(self, blocks: Iterable[Float[Tensor, "photo feature"]]) -> None:
        """Set mean, deviation and weight by the catalogue's features; directions without variance get zeros.

        Blocks are added up in float64, mean and scatter matrix of what was read with those of the next (Chan, Golub and
        LeVeque, 1979), so that one block is in memory at a time.
        """
        count = 0
        mean = torch.zeros_like(self.mean, dtype=torch.float64)
        scatter = mean.new_zeros(self.features, self.features)
        for block in blocks:
            _check_width(block, self.features)
            if not len(block):
                continue
            block, total = block.to(mean), count + len(block)
            shift, centred = block.mean(0) - mean, block - block.mean(0)
            scatter += centred.T @ centred + (count * len(block) / total) * shift.outer(shift)
            mean += shift * (len(block) / total)
            count = total
        if count < 2:
            return  # nothing varies: the weight stays zero, and so does every vector
        covariance = scatter / (count - 1)
        deviation = covariance.diagonal().sqrt() + 1e-5
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)
        variance, directions = torch.linalg.eigh(covariance / deviation.outer(deviation))
        variance, directions = variance.flip(0)[: len(self.weight)], directions.flip(1)[:, : len(self.weight)]
        scale = torch.where(variance > 1e-6 * variance[0], variance.clamp(min=1e-12).rsqrt(), 0.0)
        self.weight.zero_()
        self.weight[: len(scale)] = (directions * scale).T

    def standard(self, features: Float[Tensor, "photo feature"]) -> Float[Tensor, "photo feature"]:
        """The features, standardised to mean 0 and deviation 1 over the catalogue."""
        return (features - self.mean) / self.deviation

    def forward(self, features: Float[Tensor, "photo feature"]) -> Float[Tensor, "photo dim"]:
        _check_width(features, self.features)
        return self.standard(features) @ self.weight.T


class ImageEncoder(nn.Module):
    """v = Linear(features): the trained layer from a backbone's features to the model's dim."""

    def __init__(self, features: int, dim: int) -> None:
        super().__init__()
        self.features = features
        self.project = nn.Linear(features, dim)

    def forward(self, features: Float[Tensor, "photo feature"]) -> Float[Tensor, "photo dim"]:
        _check_width(features, self.features)
        return self.project(features)


def _check_width(features: Tensor, width: int) -> None:
    if features.shape[-1] != width:
        raise ValueError(f"image features: expected width {width}, got {features.shape[-1]}")
