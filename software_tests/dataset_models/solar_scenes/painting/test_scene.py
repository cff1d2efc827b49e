"""Drawn scenes: the same whatever was drawn before, truth that fits the masks, visible features."""

import numpy as np
import pytest

from dataset_models.solar_scenes.classes import CLASSES, OUTPUTS
from dataset_models.solar_scenes.painting.difficulty import load_difficulty
from dataset_models.solar_scenes.painting.noise import View
from dataset_models.solar_scenes.painting.observation import draw_observation
from dataset_models.solar_scenes.painting.other_scenes import FAULTS, OTHER_SCENES
from dataset_models.solar_scenes.painting.scene import draw_scene
from dataset_models.solar_scenes.painting.strokes import brush
from dataset_models.solar_scenes.painting.textures import TEXTURES, plage

STANDARD = load_difficulty()
FILAMENT, FLARE, PROMINENCE, QUIET, SPOT = range(5)


def scenes(kind, n=24, *, difficulty=STANDARD, seed=4):
    found = []
    for k in range(n):
        observation = draw_observation(seed, k, difficulty, primary=kind)
        found.append((observation, draw_scene(observation, 0)))
    return found


def test_a_brush_has_a_gaussian_profile():
    view = View((41, 41), 1.0, np.random.default_rng(0), offset=(2.0, 0.0))
    line = np.stack([np.full(200, 18.0), np.linspace(-10, 50, 200)], 1)
    painted = brush(view, line, 3.0, 0.7)
    away = np.arange(41) - 20.0  # the offset moves the line from row 18 to row 20
    near = np.abs(away) < 11  # the brush ends at four widths, or a few pixels before
    expected = 0.7 * np.exp(-(away**2) / 18)
    np.testing.assert_allclose(painted[near, 20], expected[near], atol=2e-3)


@pytest.mark.parametrize("name", TEXTURES)
@pytest.mark.parametrize("scale", [0.05, 0.3, 2.0])
def test_textures_are_finite_and_about_one_at_any_scale(name, scale):
    view = View((64, 96), scale, np.random.default_rng(5))
    image = TEXTURES[name](view, 1.0)
    assert image.shape == (64, 96)
    assert image.dtype == np.float32  # a whole Sun in float64 would need 2 GB more
    assert np.isfinite(image).all()
    assert image.mean() == pytest.approx(1, abs=0.05)
    assert 0.005 < image.std() < 0.6


def test_texture_contrast_is_a_factor():
    views = [View((96, 96), 0.3, np.random.default_rng(5)) for _ in range(2)]
    for name, texture in TEXTURES.items():
        one, half = texture(views[0], 1.0), texture(views[1], 0.5)
        np.testing.assert_allclose(half - 1, 0.5 * (one - 1), atol=1e-5, err_msg=name)


def test_plage_covers_about_what_it_is_asked_for():
    view = View((96, 96), 0.3, np.random.default_rng(5))
    added = plage(view, amplitude=0.3, cover=0.2)
    assert added.min() >= 0
    # half of the amplitude lies at the border, but for the grain
    assert (added > 0.15).mean() == pytest.approx(0.2, abs=0.06)


@pytest.mark.parametrize("name", OTHER_SCENES)
def test_other_scenes_are_finite(name):
    for seed in range(6):
        image = OTHER_SCENES[name](View((64, 64), 0.6, np.random.default_rng(seed)))
        assert image.shape == (64, 64)
        assert np.isfinite(image).all()


def neighbours(image):
    """Correlation of each pixel with the one to its right."""
    return np.corrcoef(image[:, :-1].ravel(), image[:, 1:].ravel())[0, 1]


def test_granules_that_are_not_resolved_leave_a_grain_as_wide_as_the_point_spread():
    """White noise, which is all that a blank frame has, has none.

    Noise behind a Gaussian of standard deviation s pixels correlates by exp(-1 / 4 s^2) with its
    neighbour: 0.29 for the narrowest, 0.45 pixels, and less where the mean is taken off it.
    """
    for seed in range(12):
        view = View((96, 96), 2.0, np.random.default_rng(seed))
        assert neighbours(TEXTURES["granulation"](view, 1.0)) > 0.15
    white = View((96, 96), 2.0, np.random.default_rng(0)).generator.normal(size=(96, 96))
    assert abs(neighbours(white)) < 0.05


def test_a_whole_corona_has_a_disc_and_darkness_far_from_it():
    """Two solar radii from the middle the corona is e^-5 to e^-25 of the limb; at least half."""
    seen = 0
    for seed in range(40):
        image = OTHER_SCENES["whole corona"](View((96, 96), 2.0, np.random.default_rng(seed)))
        corners = [image[y, x] for y in (0, -1) for x in (0, -1)]
        seen += min(corners) < 0.5 * np.median(image[32:64, 32:64])
    assert seen >= 30  # the disc fills some frames to their corners


def test_spoilt_frames_are_spoilt_as_they_are_named():
    r = np.random.default_rng(3)
    view = View((96, 96), 0.2, np.random.default_rng(4))
    plain = TEXTURES["granulation"](view, 1.0)
    spoilt = {fault.__name__: fault(r, plain.copy(), 12) for fault in FAULTS}
    along = [np.diff(spoilt["_moved"], axis=k).std() for k in (0, 1)]
    assert min(along) < 0.3 * max(along)  # a mean over a quarter of the frame at least
    assert spoilt["_out_of_focus"].std() < 0.3 * plain.std()
    assert spoilt["_overflow"].min() >= 0
    assert spoilt["_overflow"].max() < 1
    assert (spoilt["_particles"] >= plain).all()
    assert (spoilt["_particles"] > plain).mean() > 0.005


@pytest.mark.parametrize("kind", range(6))
def test_a_scene_depends_on_its_observation_and_frame_only(kind):
    observation = draw_observation(9, 3, STANDARD, primary=kind)
    first = draw_scene(observation, 2)
    draw_scene(observation, 0)
    draw_scene(draw_observation(9, 4, STANDARD), 1)
    again = draw_scene(draw_observation(9, 3, STANDARD, primary=kind), 2)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.masks, again.masks)
    assert first.image.dtype == np.float32


@pytest.mark.parametrize("kind", range(6))
def test_truth_fits_the_masks(kind):
    for _, scene in scenes(kind, 12):
        assert scene.primary == kind
        assert scene.labels[kind] == 1
        assert scene.masks.shape == (5, 96, 96)
        quiet = scene.masks[QUIET]
        features = scene.masks[[FILAMENT, FLARE, PROMINENCE, SPOT]]
        assert not (quiet & features.any(0)).any()
        for k, name in enumerate(CLASSES):
            if name != "quiet" and k != kind:
                assert scene.labels[k] == (scene.masks[k].sum() >= 8)
        if kind != QUIET:
            assert scene.labels[QUIET] == 0
        if OUTPUTS[kind] == "none of these":
            assert not scene.masks.any()
            assert scene.labels.sum() == 1


@pytest.mark.parametrize("kind", [FILAMENT, FLARE, PROMINENCE, SPOT])
def test_what_a_scene_was_taken_for_is_in_it(kind):
    sign = {FILAMENT: -1, FLARE: 1, PROMINENCE: 1, SPOT: -1}[kind]
    n_visible, n = 0, 40
    for _, scene in scenes(kind, n):
        mask = scene.masks[kind]
        assert mask.sum() >= 8
        z = (scene.image - np.median(scene.image)) / scene.image.std()
        ground = ~scene.masks[[FILAMENT, FLARE, PROMINENCE, SPOT]].any(0)
        if kind == PROMINENCE:
            ground &= ~scene.masks[QUIET]
        n_visible += sign * (z[mask].mean() - z[ground].mean()) > 0.15
    assert n_visible >= n - 1  # a ribbon may saturate with its surroundings


def test_quiet_scenes_have_distractors_but_no_feature():
    distracted = load_difficulty({"pores_in_quiet": 1.0, "limb_in_quiet": 1.0})
    for _, scene in scenes(QUIET, 8, difficulty=distracted):
        assert scene.labels.tolist() == [0, 0, 0, 1, 0, 0]
        assert 0.1 < scene.masks[QUIET].mean() < 1  # disc and sky


def test_spots_and_ribbons_share_frames():
    shared = load_difficulty({"spot_under_ribbons": 1.0})
    labels = np.array([scene.labels for _, scene in scenes(FLARE, 8, difficulty=shared)])
    assert (labels[:, FLARE] == 1).all()
    assert (labels[:, SPOT] == 1).all()


def test_frames_of_one_observation_are_near_copies_and_others_are_not():
    def correlation(a, b):
        return np.corrcoef(a.ravel(), b.ravel())[0, 1]

    within, between = [], []
    for k in range(18):
        observation = draw_observation(2, k, STANDARD)
        if observation.texture in ("blank", "corrupted"):
            continue
        other = draw_observation(2, k + 100, STANDARD)
        first = draw_scene(observation, 0).image
        within.append(correlation(first, draw_scene(observation, 1).image))
        between.append(correlation(first, draw_scene(other, 0).image))
    # real frames 1.6 s apart correlate at 0.90 to 0.99; noise and pointing lower some
    assert np.median(within) > 0.85
    assert abs(np.median(between)) < 0.3


def test_observations_come_in_blocks_of_all_kinds():
    kinds = [draw_observation(7, k, STANDARD).primary for k in range(24)]
    assert all(sorted(kinds[k : k + 6]) == list(range(6)) for k in range(0, 24, 6))
    assert kinds[:6] != kinds[6:12]  # in another order, but once in 720


def test_brightness_scales_span_instruments():
    medians = [abs(np.median(scene.image)) for _, scene in scenes(QUIET, 40)]
    assert min(medians) < 5
    assert max(medians) > 5000


def test_impossible_requests_are_refused():
    observation = draw_observation(1, 0, STANDARD)
    with pytest.raises(ValueError, match="at least 16 pixels"):
        draw_scene(observation, 0, 8)
    with pytest.raises(ValueError, match="at least 16 pixels"):
        draw_scene(observation, -1)
    with pytest.raises(ValueError, match="numbered 0 to 5"):
        draw_observation(1, 0, STANDARD, primary=6)
