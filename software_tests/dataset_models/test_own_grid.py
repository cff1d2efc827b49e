"""A map on the network's grid goes back to the data's grid by the transpose of the averaging."""

import numpy as np

from dataset_models.own_grid import own_grids
from dataset_models.SDO.sources import StoreImages
from dataset_models.store import build_store
from software_tests.dataset_models.test_store import small


def test_a_map_of_a_larger_store_keeps_its_sum_and_its_derivative(tmp_path, generator):
    source = StoreImages(build_store(tmp_path / "store", small(n=2)), 8, (171,))
    (grid,) = own_grids(source, 0)
    values, image = generator.normal(size=(8, 8)), generator.normal(size=(32, 32))
    back = grid.back(values)
    assert back.shape == grid.shape == (32, 32)
    np.testing.assert_allclose(back.sum(), values.sum())
    # <map, averages of an image> = <map taken back, image> for any image
    averages = image.reshape(8, 4, 8, 4).mean(axis=(1, 3))
    np.testing.assert_allclose((values * averages).sum(), (back * image).sum())
