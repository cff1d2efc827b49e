"""What became of the files that a store was built from is kept beside it."""

import pytest

from dataset_models.reading_summary import ReadingSummary
from dataset_models.store import ImageStore, StoreError, build_store
from software_tests.dataset_models.test_store import ToyImages


def test_the_summary_of_a_finished_store_is_kept_and_made_anew(tmp_path):
    source = ToyImages(n=2, size=32)
    source.summary = lambda: ReadingSummary(3, ("c.fits: damaged",), ("a.fits: 5 pixels",), ("x",))
    store = build_store(tmp_path / "a", source)
    lines = ["2 of 3 files read, 1 left out, 1 of those read mended", "  left out: c.fits: damaged"]
    lines += ["  mended: a.fits: 5 pixels", "  note: x"]
    assert store.summary().lines() == lines
    (tmp_path / "a/reading.json").unlink()  # as after a kill before it was written
    assert build_store(tmp_path / "a", source).summary().lines() == lines
    source.summary = lambda: ReadingSummary(4, ("c.fits: damaged", "d.fits: damaged"))
    assert build_store(tmp_path / "a", source).summary().n_given == 4
    (tmp_path / "a/reading.json").write_text("{")
    with pytest.raises(StoreError, match=r"reading\.json can't be read"):
        ImageStore(tmp_path / "a").summary()
