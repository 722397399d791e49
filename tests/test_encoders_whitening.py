"""PCA whitening: what it must do to the catalogue, stated on its outputs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic.encoders.image import WhitenedImageEncoder
from tests.small_world import formula

PHOTOS, FEATURES = 37, 11


def catalogue(rank=FEATURES, seed=1, photos=PHOTOS):
    """Float32 features of `photos` photos with deviations far apart, which span `rank` directions."""
    generator = np.random.default_rng(seed)
    spread = generator.normal(size=(photos, rank)) * np.geomspace(1, 9, rank)
    return torch.from_numpy((spread @ generator.normal(size=(rank, FEATURES)) + 5).astype(np.float32))


def fitted(features, dim):
    encoder = WhitenedImageEncoder(FEATURES, dim)
    encoder.fit([features])
    return encoder


@pytest.mark.parametrize("dim", [5, FEATURES])
def test_the_outputs_of_the_catalogue_are_white(dim):
    features = catalogue()

    found = fitted(features, dim)(features)

    assert found.shape == (PHOTOS, dim)
    torch.testing.assert_close(found.mean(0), torch.zeros(dim), atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.cov(found.T), torch.eye(dim), atol=1e-3, rtol=0)


def test_the_directions_kept_are_those_of_most_variance():
    features, dim = catalogue(), 3
    standard = (features - features.mean(0)) / features.std(0)
    largest = np.linalg.svd(standard.numpy(), compute_uv=False)[:dim] ** 2 / (PHOTOS - 1)

    found = fitted(features, dim)(features)

    # An output is D^-1 U^T x, so the regression of x on it has the length D.
    lengths = (standard.T @ found / (PHOTOS - 1)).norm(dim=0)
    torch.testing.assert_close(lengths.square(), torch.from_numpy(largest), atol=1e-3, rtol=1e-3)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, FEATURES - 1), st.integers(0, 2**16))
def test_a_missing_direction_gives_zeros(rank, seed):
    features = catalogue(rank, seed)

    found = fitted(features, FEATURES)(features)

    assert found.isfinite().all()
    torch.testing.assert_close(found[:, rank:], torch.zeros(PHOTOS, FEATURES - rank), atol=0, rtol=0)


@pytest.mark.parametrize("photos", [2, 5])
def test_a_catalogue_smaller_than_dim_leaves_the_rest_at_zero(photos):
    features = catalogue(photos=photos)

    found = fitted(features, 13)(features)

    torch.testing.assert_close(
        found.T @ found / (photos - 1), torch.eye(13) * (torch.arange(13) < photos - 1), atol=1e-2, rtol=0
    )


@pytest.mark.parametrize("photos", [0, 1, 3])
def test_photos_that_do_not_differ_give_zeros_never_nan(photos):
    encoder = fitted(formula((FEATURES,), 2).float().expand(photos, FEATURES), 5)

    assert all(value.isfinite().all() for value in encoder.state_dict().values())
    assert not encoder(encoder.mean.expand(2, FEATURES)).any()


def test_a_feature_that_never_varies_is_left_out():
    features = catalogue()
    features[:, 3] = 7.0

    found = fitted(features, FEATURES)(features)

    assert found.isfinite().all()
    torch.testing.assert_close(found.std(0)[:-1], torch.ones(FEATURES - 1), atol=1e-3, rtol=0)
    assert not found[:, -1].any()


def test_the_standard_features_have_mean_zero_and_deviation_one():
    features = catalogue()

    found = fitted(features, 5).standard(features)

    torch.testing.assert_close(found.mean(0), torch.zeros(FEATURES), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.std(0), torch.ones(FEATURES), atol=1e-4, rtol=0)


def naive_vectors(features, dim):
    """The whitened photos by the definition, from the whole catalogue at once, in float64."""
    features = features.double()
    standard = (features - features.mean(0)) / (features.std(0) + 1e-5)
    variance, directions = torch.linalg.eigh(torch.cov(standard.T))
    return standard @ (directions * variance.rsqrt()).flip(1)[:, :dim]


@pytest.mark.parametrize("block", [1, 2, 5, PHOTOS])
def test_blocks_of_any_size_whiten_as_the_whole_catalogue_does(block):
    features, dim = catalogue(), 5
    encoder = WhitenedImageEncoder(FEATURES, dim)

    encoder.fit(iter([features[:0], *features.split(block)]))

    found, expected = encoder(features), naive_vectors(features, dim)
    torch.testing.assert_close(encoder.mean, features.double().mean(0).float(), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(encoder.deviation, (features.double().std(0) + 1e-5).float(), atol=1e-6, rtol=1e-6)
    # A direction and its opposite are equally good, so the cosines are compared that photos are compared by.
    torch.testing.assert_close(found @ found.T, (expected @ expected.T).float(), atol=1e-3, rtol=0)


def test_features_far_from_zero_keep_their_variance():
    features = catalogue() + 4096.0  # in float32 a sum of squares would drown what varies

    found = fitted(features, 5)(features)

    torch.testing.assert_close(torch.cov(found.T), torch.eye(5), atol=1e-2, rtol=0)


def test_nothing_is_trained_and_all_is_saved():
    encoder = fitted(catalogue(), 5)

    assert not list(encoder.parameters())
    assert encoder.state_dict().keys() == {"weight", "mean", "deviation"}


def test_fitting_again_forgets_the_first_catalogue():
    encoder = fitted(catalogue(), 5)
    encoder.fit([catalogue(2, seed=2)])

    for name, value in fitted(catalogue(2, seed=2), 5).state_dict().items():
        assert torch.equal(encoder.state_dict()[name], value)


def test_features_of_another_width_are_refused():
    encoder = WhitenedImageEncoder(FEATURES, 5)
    for read in (encoder, lambda features: encoder.fit([features])):
        with pytest.raises(ValueError, match=f"image features: expected width {FEATURES}, got 3"):
            read(torch.zeros(2, 3))
