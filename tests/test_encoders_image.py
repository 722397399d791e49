"""Backbones by name, their weights from files, and the layer from features to the model's width."""

from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from semantic.encoders.image import Backbone, BackboneError, ImageEncoder, MapBackbone
from tests.small_world import fill, formula

PHOTOS = (formula((3, 32, 32, 3), 5) * 127.5 + 127.5).to(torch.uint8)


def backbone(frozen=False, batch_norm="eval"):
    return fill(Backbone("resnet18", frozen=frozen, batch_norm=batch_norm))


@pytest.fixture(scope="module")
def resnet():
    return backbone().eval()


def reference(resnet, photos=PHOTOS):
    """torchvision's ResNet-18 without its classifier, layer by layer, on photos in [-1, 1]."""
    whole = torchvision.models.resnet18(weights=None)
    whole.load_state_dict(resnet.network.state_dict(), strict=False)
    whole.train(resnet.training and resnet.batch_norm == "train")
    x = torch.stack([(photo.double() / 255 * 2 - 1).float().permute(2, 0, 1) for photo in photos])
    for name, layer in whole.named_children():
        if name != "fc":
            x = layer(x)
    return x.squeeze(3).squeeze(2)


def test_features_are_resnet18s_of_photos_scaled_to_one(resnet):
    features = resnet(PHOTOS)

    assert features.shape == (3, resnet.features) == (3, 512)
    torch.testing.assert_close(features, reference(resnet), atol=1e-4, rtol=1e-4)


def test_black_is_minus_one_and_white_is_one():
    resnet = backbone()
    resnet.network = torch.nn.Flatten(2)

    ends = resnet(torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 2, 1).expand(1, 1, 2, 3))

    assert ends.view(3, 2).tolist() == [[-1, 1]] * 3


def test_batch_norm_eval_keeps_running_statistics_while_training():
    resnet = backbone(batch_norm="eval")
    evaluated = resnet.eval()(PHOTOS)

    trained = resnet.train()(PHOTOS)

    torch.testing.assert_close(trained, evaluated)
    assert resnet.network.layer1.training


def test_batch_norm_train_uses_the_batch_in_training_only():
    resnet = backbone(batch_norm="train")
    evaluated = resnet.eval()(PHOTOS)

    trained = resnet.train()(PHOTOS)

    assert (trained - evaluated).abs().max() > 1e-3
    assert (resnet(PHOTOS[:2])[0] - trained[0]).abs().max() > 1e-3  # in other company
    torch.testing.assert_close(resnet.eval()(PHOTOS[:1]), resnet(PHOTOS)[:1])


@pytest.mark.parametrize(
    ("frozen", "batch_norm", "cacheable"),
    [(True, "eval", True), (True, "train", False), (False, "eval", False), (False, "train", False)],
)
def test_only_a_frozen_backbone_on_running_statistics_may_be_cached(frozen, batch_norm, cacheable):
    assert backbone(frozen, batch_norm).cacheable is cacheable


def test_frozen_turns_gradients_off_and_unfrozen_trains_every_weight():
    frozen, free = backbone(frozen=True).eval(), backbone().eval()

    assert not frozen(PHOTOS).requires_grad
    assert not any(p.requires_grad for p in frozen.parameters())
    free(PHOTOS[:1]).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in free.parameters())


def test_a_timm_model_by_name():
    assert Backbone("resnet10t", frozen=True, batch_norm="eval").eval()(PHOTOS[:1]).shape == (1, 512)


def test_weights_from_a_safetensors_file_with_its_classifier_left_out(tmp_path, resnet):
    state = {k: v.contiguous() for k, v in resnet.network.state_dict().items() if "num_batches" not in k}
    save_file({**state, "fc.weight": torch.ones(7, 512)}, tmp_path / "resnet18.safetensors")
    fresh = Backbone("resnet18", frozen=False, batch_norm="eval").eval()

    fresh.load(str(tmp_path / "resnet18.safetensors"))

    assert torch.equal(fresh(PHOTOS), resnet(PHOTOS))


def test_weights_of_another_network_are_refused_and_counted(tmp_path, resnet):
    state = {k: v.contiguous() for k, v in resnet.network.state_dict().items()}
    del state["bn1.weight"], state["conv1.weight"]
    file = tmp_path / "other.safetensors"
    save_file({**state, "bn1.bias": torch.ones(5), "layer9.weight": torch.ones(1)}, file)
    before = {name: value.clone() for name, value in resnet.state_dict().items()}

    with pytest.raises(BackboneError) as raised:
        resnet.load(str(file))

    assert str(raised.value) == (
        f"image weights {file}: expected the tensors of resnet18, got 2 missing (first bn1.weight), "
        "1 unknown (first layer9.weight), 1 of another shape (first bn1.bias)"
    )
    assert all(torch.equal(value, before[name]) for name, value in resnet.state_dict().items())


@pytest.mark.parametrize(
    ("fault", "count"),
    [
        ({"bn1.weight": None}, "1 missing"),
        ({"layer9.weight": torch.ones(1)}, "1 unknown"),
        ({"bn1.bias": torch.ones(5)}, "1 of another shape"),
    ],
)
def test_one_wrong_weight_is_enough_to_refuse(tmp_path, resnet, fault, count):
    state = {k: v.contiguous() for k, v in resnet.network.state_dict().items()} | fault
    file = tmp_path / "one.safetensors"
    save_file({name: value for name, value in state.items() if value is not None}, file)

    with pytest.raises(BackboneError, match=f"the tensors of resnet18, got {count}"):
        resnet.load(str(file))


def test_weights_that_are_no_file_or_no_safetensors_are_refused(tmp_path, resnet):
    file = tmp_path / "broken.safetensors"
    with pytest.raises(BackboneError, match=r"expected a safetensors file or 'pretrained', got '.*', found none there"):
        resnet.load(str(file))
    file.write_bytes(b"not tensors")
    with pytest.raises(
        BackboneError, match=r"broken.safetensors: expected a safetensors file, got one that does not read"
    ):
        resnet.load(str(file))


def test_pretrained_weights_without_a_network_say_what_to_do(resnet, monkeypatch):
    def unreachable(name, weights):
        raise URLError(f"{name} {weights}")

    monkeypatch.setattr(torchvision.models, "get_model", unreachable)

    with pytest.raises(BackboneError, match=r"expected to download them, got URLError; give a local safetensors file"):
        resnet.load("pretrained")


def test_an_unknown_backbone_or_batch_norm_is_refused():
    with pytest.raises(BackboneError, match="expected the name of a torchvision or timm model, got 'resnet19'"):
        Backbone("resnet19", frozen=True, batch_norm="eval")
    with pytest.raises(ValueError, match="batch_norm: expected 'train' or 'eval', got 'off'"):
        Backbone("resnet18", frozen=True, batch_norm="off")


def test_the_image_encoder_is_linear_and_checks_its_width():
    image, features = fill(ImageEncoder(5, 7)).double(), formula((3, 5), 11)
    weight, bias = image.project.weight, image.project.bias

    for row, vector in zip(features, image(features), strict=True):
        expected = [
            sum(w * x for w, x in zip(weights, row, strict=True)) + b for weights, b in zip(weight, bias, strict=True)
        ]
        torch.testing.assert_close(vector, torch.stack(expected), atol=1e-12, rtol=0)
    with pytest.raises(ValueError, match="image features: expected width 5, got 3"):
        image(formula((2, 3), 1))


def test_a_map_is_a_layers_averaged_to_the_grid():
    maps = fill(MapBackbone("resnet18", "layer3", 2, frozen=True, batch_norm="eval")).eval()
    x = (PHOTOS.double() / 255 * 2 - 1).float().permute(0, 3, 1, 2)
    for name, layer in maps.network.named_children():
        assert name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "7")
        x = layer(x)

    found = maps(PHOTOS)

    assert maps.cacheable
    assert found.shape == (3, maps.features) == (3, 256 * 4)
    torch.testing.assert_close(found.view(3, 256, 2, 2), x)
    # of a photo of 32 pixels the layer's map has 2 places a side: each is a place of the grid
    whole = fill(Backbone("resnet18", frozen=True, batch_norm="eval")).eval()
    assert whole.network.layer3[1].conv2.weight.shape == maps.network.layer3[1].conv2.weight.shape


def test_a_map_backbone_takes_the_weights_of_the_whole_network(tmp_path, resnet):
    save_file(
        {name: value.contiguous() for name, value in resnet.network.state_dict().items()}, tmp_path / "w.safetensors"
    )
    maps = MapBackbone("resnet18", "layer2", 1, frozen=True, batch_norm="eval").eval()

    maps.load(str(tmp_path / "w.safetensors"))

    assert torch.equal(maps.network.layer2[0].conv1.weight, resnet.network.layer2[0].conv1.weight)
    assert maps.channels == maps.features == 128


def test_a_layer_that_is_none_or_has_no_map_is_told():
    for name, layer, grid, message in (
        ("resnet18", "layer5", 2, "image layer: expected one of conv1, .*layer4.*, got 'layer5'"),
        ("resnet18", "layer4", 3, r"'layer4' of resnet18: expected a map .* of 3 places a side .*, got \[512, 2, 2\]"),
        ("resnet18", "avgpool", 1, r"'avgpool' of resnet18: expected a map .*, got \[512, 1, 1\]"),
        ("vit_b_16", "encoder", 1, "'encoder' of vit_b_16: expected a map .*, got none"),
    ):
        with pytest.raises(BackboneError, match=message):
            MapBackbone(name, layer, grid, frozen=True, batch_norm="eval")
