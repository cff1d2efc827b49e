"""Chunks read as files: what zarr reads, and nothing that was not written."""

import google_crc32c
import numpy as np
import pytest
import zarr
from numcodecs import Blosc

from dataset_models.chunk_files import ChunkError, ChunkFiles

SHAPE, LENGTH = (5, 3, 16, 24), 2


@pytest.fixture
def codes(generator):
    return generator.integers(-32768, 32768, SHAPE).astype(np.int16)


@pytest.fixture
def files(tmp_path, codes):
    files = ChunkFiles(tmp_path / "images.zarr", SHAPE, LENGTH)
    files.open_or_create(-32768)[:] = codes
    return files


def write(file, packed):
    checksum = google_crc32c.value(packed)
    file.write_bytes(packed + checksum.to_bytes(4, "little"))


def test_chunks_are_what_any_zarr_reader_reads(files, codes):
    files.open()
    found = np.concatenate([files.read(k) for k in range(3)])
    np.testing.assert_array_equal(found, codes)  # the last chunk holds one image only
    np.testing.assert_array_equal(zarr.open_array(files.path, mode="r")[:], codes)


def test_a_chunk_is_read_to_where_it_is_wanted(files, codes):
    out = np.empty((3, *SHAPE[1:]), np.int16)
    files.read(1, out[1:])
    np.testing.assert_array_equal(out[1:], codes[2:4])


@pytest.mark.parametrize("n_images", [1, 3])
def test_a_chunk_of_another_length_is_refused_though_its_checksum_is_good(files, codes, n_images):
    write(files.file(0), Blosc().encode(np.ascontiguousarray(codes[:n_images])))
    with pytest.raises(ChunkError, match="expected 4608 bytes"):
        files.read(0)


@pytest.mark.parametrize("content", [b"", b"abc", b"abcdefgh" * 10])
def test_what_is_no_chunk_is_refused(files, content):
    files.file(0).write_bytes(content)
    with pytest.raises(ChunkError, match="checksum"):
        files.read(0)
    write(files.file(0), content)
    with pytest.raises(ChunkError, match="expected 4608 bytes"):
        files.read(0)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"int16"', '"uint16"'), ('"int16"', '"int32"'), ("crc32c", "gzip"), ("5", "6")],
)
def test_an_array_of_another_kind_is_refused(files, old, new):
    description = files.path / "zarr.json"
    description.write_text(description.read_text().replace(old, new))
    with pytest.raises(ChunkError, match="images.zarr can't be opened"):
        files.open()
