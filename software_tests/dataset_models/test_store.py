"""Stores: what was written is read, damage raises, a killed build ends as an unbroken one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dataset_models.SDO.coding import encode
from dataset_models.store import ImageStore, StoreError, build_store
from dataset_models.store_commands import main
from software_tests.dataset_models.toy_source import ToySource
from tools.channels import AIA_CHANNELS
from tools.long_work.journal import read_records
from tools.long_work.resumable import claim

ROOT = Path(__file__).parents[2]


class ToyImages(ToySource):
    """A source of random images; ``fails_at`` stands for a kill while one is made."""

    channels = AIA_CHANNELS
    pixels_averaged = 16.0

    def __init__(self, n=7, size=700, seed=0, fails_at=None):
        # 700 x 700: one image in a chunk, and no power of two
        self.times = np.datetime64("2014-01-01T00:00:00") + np.arange(n) * np.timedelta64(720, "s")
        self.size, self.seed, self.fails_at = size, seed, fails_at
        self.n_made, self.problems, self.mended = 0, [], []

    def __len__(self):
        return len(self.times)

    def image(self, index):
        if index == self.fails_at:
            raise KeyboardInterrupt
        self.n_made += 1
        generator = np.random.default_rng([self.seed, index])
        image = generator.gamma(2, 50, (8, self.size, self.size)).astype(np.float32)
        image[3] = np.nan if index == 2 else image[3]
        return image

    def is_bad(self, index):
        return index == 4

    def describe(self):
        return {"source": "toy", "seed": self.seed}


def small(**options):
    return ToyImages(**{"size": 32, "n": 20, **options})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return build_store(tmp_path_factory.mktemp("stores") / "a", ToyImages())


def hashes(path):
    files = sorted(p for p in Path(path).rglob("*") if p.is_file() and p.name != "build.lock")
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in files}


def test_images_come_back_in_any_order_with_times_quality_and_missing_channels(store):
    source = ToyImages()
    rows = np.array([5, 0, 2])
    expected = np.stack([source.image(k) for k in rows])
    found = store.read(rows)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    # a step is a sixth of the noise: far below 1 % at these counts
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.2)
    np.testing.assert_array_equal(store.times, source.times)
    assert np.flatnonzero(store.is_bad).tolist() == [4]
    assert store.verify() == []
    codes = encode(source.image(1), AIA_CHANNELS, pixels_averaged=16)
    np.testing.assert_array_equal(store.read_codes(1)[0], codes)


def test_small_images_share_chunks(tmp_path):
    store = build_store(tmp_path / "s", small(n=300))
    assert store.manifest["chunk_length"] == 256
    expected = small(n=300).image(299)
    np.testing.assert_allclose(store.read([299])[0], expected, rtol=0.02, atol=0.2)


@pytest.mark.parametrize("fails_at", [0, 1, 4, 6])
def test_an_interrupted_build_goes_on_and_ends_the_same(store, tmp_path, fails_at):
    path = tmp_path / "b"
    with pytest.raises(KeyboardInterrupt):
        build_store(path, ToyImages(fails_at=fails_at))
    with pytest.raises(StoreError, match="is not finished"):
        ImageStore(path)
    rest = ToyImages()
    again = build_store(path, rest)
    assert rest.n_made == 7 - fails_at
    assert again.fingerprint() == store.fingerprint()
    assert hashes(path) == hashes(store.path)


def test_a_journal_line_that_was_cut_off_does_not_count(store, tmp_path):
    path = tmp_path / "b"
    build_store(path, ToyImages())
    journal = path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    rest = ToyImages()
    again = build_store(path, rest)
    assert rest.n_made == 1
    assert again.fingerprint() == store.fingerprint()
    assert again.verify() == []


def test_killed_at_ten_moments(tmp_path):
    command = [sys.executable, "dataset_models/store.py", "build"]
    options = ["--size", "256", "--years", "0.08"]  # 15 chunks of four images
    whole = tmp_path / "whole"
    alone = [*command, str(whole), *options, "--workers", "1"]
    subprocess.run(alone, cwd=ROOT, check=True, capture_output=True)
    path, kills = tmp_path / "killed", 0
    for k in range(10):
        process = subprocess.Popen(
            [*command, str(path), *options, "--workers", str(1 + k // 7)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        journal = path / "journal.jsonl"
        before = journal.read_bytes().count(b"\n") if journal.exists() else 0
        while process.poll() is None:
            if journal.exists() and journal.read_bytes().count(b"\n") > before:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
                break
        process.communicate()
    subprocess.run([*command, str(path), *options], cwd=ROOT, check=True, capture_output=True)
    assert kills == 10
    assert hashes(path) == hashes(whole)


def test_a_missing_chunk_raises_and_does_not_read_as_zeros(tmp_path):
    store = build_store(tmp_path / "b", ToyImages())
    (tmp_path / "b/images.zarr/c/3/0/0/0").unlink()
    with pytest.raises(StoreError, match="chunk 3 is missing"):
        store.read([3])
    assert store.verify() == [f"{store.path}: chunk 3 is missing; build it again"]
    again = build_store(tmp_path / "b", ToyImages())
    assert again.verify() == []
    assert again.fingerprint() == store.fingerprint()


def test_every_flipped_bit_is_found(tmp_path, generator):
    store = build_store(tmp_path / "b", small())
    file = tmp_path / "b/images.zarr/c/0/0/0/0"
    whole = file.read_bytes()
    for bit in generator.choice(8 * len(whole), 300, replace=False):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        file.write_bytes(damaged)
        with pytest.raises(StoreError, match="chunk 0 is damaged"):
            store.read([0])


def test_a_chunk_that_was_cut_off_is_found(tmp_path):
    store = build_store(tmp_path / "b", small())
    file = tmp_path / "b/images.zarr/c/0/0/0/0"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(StoreError, match="chunk 0 is damaged"):
        store.read([0])


def test_an_image_without_any_value_has_a_chunk_and_counts_as_bad(tmp_path):
    source = ToyImages(n=3)
    plain = source.image
    source.image = lambda k: np.full((8, 700, 700), np.nan) if k == 1 else plain(k)
    store = build_store(tmp_path, source)
    assert np.isnan(store.read([1])).all()
    assert store.is_bad.tolist() == [False, True, False]


def test_a_lost_array_description_is_written_again_and_chunks_stay(store, tmp_path):
    build_store(tmp_path, ToyImages())
    for text in (None, "{half"):
        description = tmp_path / "images.zarr/zarr.json"
        description.unlink()
        if text:
            description.write_text(text)
        with pytest.raises(StoreError, match="can't be opened"):
            ImageStore(tmp_path)
        rest = ToyImages()
        again = build_store(tmp_path, rest)
        assert rest.n_made == 0
        assert again.fingerprint() == store.fingerprint()
        assert again.verify() == []


def test_what_a_killed_writer_of_the_manifest_left_is_swept(tmp_path):
    (tmp_path / ".manifest.json.123.partial").write_text("{half")
    assert len(build_store(tmp_path, small())) == 20


def test_nonsense_in_the_journal_does_not_count(tmp_path):
    build_store(tmp_path, small())
    with open(tmp_path / "journal.jsonl", "ab") as file:
        file.write(b'5\n{"a": 1}\n\xff\xfe\n{"chunk": 99, "sha256": "x", "is_bad": [1]}\n')
    assert ImageStore(tmp_path).verify() == []


def test_a_store_of_another_coding_is_refused(tmp_path, monkeypatch):
    build_store(tmp_path, small())
    monkeypatch.setattr("dataset_models.SDO.coding._STEPS_PER_SIGMA", 5.0)
    with pytest.raises(StoreError, match="coded by another version"):
        ImageStore(tmp_path)
    monkeypatch.undo()


def test_records_of_other_lengths_are_other_suns():
    from dataset_models.virtual_sun.images import VirtualImages
    from dataset_models.virtual_sun.parameters import FlareProcessParameters
    from dataset_models.virtual_sun.process import simulate_record
    from dataset_models.virtual_sun.record import VIRTUAL_START

    described = [
        VirtualImages(
            simulate_record(FlareProcessParameters(), years=years, seed=1),
            np.array([VIRTUAL_START]),
            16,
        ).describe()
        for years in (0.3, 0.301, 0.3)
    ]
    assert described[0] == described[2] != described[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "0"], "--workers takes 1 or more"),
        (["--hmi"], "are for FITS files: give --data"),
        (["--degradation-corrected"], "are for FITS files: give --data"),
        (["--cadence-h", "0"], "--cadence-h takes 1 or more"),
    ],
)
def test_options_that_would_do_nothing_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        main(["build", str(tmp_path / "s"), *options])
    assert not list(tmp_path.iterdir())


class TestOccupiedFolders:
    """What is there already is never overwritten."""

    def test_another_store(self, tmp_path):
        build_store(tmp_path, small())
        with pytest.raises(StoreError, match="a store of other images"):
            build_store(tmp_path, small(seed=1))

    def test_other_files(self, tmp_path):
        (tmp_path / "notes.txt").write_text("hello")
        with pytest.raises(StoreError, match="holds other files"):
            build_store(tmp_path, small())

    def test_another_process(self, tmp_path):
        with claim(tmp_path / "build.lock"), pytest.raises(StoreError, match="another process"):
            build_store(tmp_path, small())

    def test_a_finished_store_is_not_built_again(self, tmp_path):
        build_store(tmp_path, small())
        source = small()
        build_store(tmp_path, source)
        assert source.n_made == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "has no manifest.json"), ("{half", "can't be read"), ("[1]", "no store of version 2")],
)
def test_what_is_no_store_says_so(tmp_path, text, message):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(StoreError, match=message):
        ImageStore(tmp_path)


def test_impossible_sources_are_refused(tmp_path):
    backwards = small()
    backwards.times = backwards.times[::-1]
    for source, message in ((backwards, "in order of time"), (small(size=9000), "8 to 8192")):
        with pytest.raises(StoreError, match=message):
            build_store(tmp_path / "x", source)


def test_build_and_inspect_from_the_command_line(tmp_path, capsys):
    path = tmp_path / "store"
    assert main(["build", str(path), "--size", "64", "--years", "0.01"]) == 0
    picture = tmp_path / "sheet.png"
    assert main(["inspect", str(path), "--verify", "--contact-sheet", str(picture)]) == 0
    text = capsys.readouterr().out
    assert "8 images, 2101-01-01T00:00:00 to 2101-01-04T12:00:00, every 12 h" in text
    assert "every chunk is what was written" in text
    assert "171 Å: mean" in text
    assert picture.stat().st_size > 20_000
    _, entry = next(read_records(path / "journal.jsonl"))
    entry["sha256"] = "0" * 32
    (path / "journal.jsonl").write_text(json.dumps(entry) + "\n")
    assert main(["inspect", str(path), "--verify"]) == 1


def test_another_look_is_another_source(tmp_path, monkeypatch):
    from dataset_models.virtual_sun import images
    from dataset_models.virtual_sun.parameters import FlareProcessParameters
    from dataset_models.virtual_sun.process import simulate_record
    from dataset_models.virtual_sun.record import VIRTUAL_START

    record = simulate_record(FlareProcessParameters(), years=0.01, seed=1)
    source = images.VirtualImages(record, np.array([VIRTUAL_START]), 16)
    build_store(tmp_path, source)
    monkeypatch.setattr(images, "fingerprint_of_code", lambda modules: "another look")
    with pytest.raises(StoreError, match="a store of other images"):
        build_store(tmp_path, source)


def test_several_processes_write_the_same_store(tmp_path):
    alone = build_store(tmp_path / "a", ToyImages())
    together = build_store(tmp_path / "b", ToyImages(), workers=2)
    assert together.fingerprint() == alone.fingerprint()
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


class FailingImages(ToyImages):
    """Says what was wrong with an image, in whatever process it is made."""

    def __init__(self, **options):
        super().__init__(**options)
        self.problems, self.mended = [], []

    def image(self, index):
        self.problems.append(f"image {index} is odd")
        if index == 5:
            os._exit(9)
        return super().image(index)


def test_problems_come_back_from_processes_and_a_killed_one_says_so(tmp_path):
    source = FailingImages(n=5)
    build_store(tmp_path / "a", source, workers=2)
    assert source.problems == [f"image {k} is odd" for k in range(5)]
    with pytest.raises(ChildProcessError, match="was killed; the chunks before are saved"):
        build_store(tmp_path / "b", FailingImages(), workers=2)
    assert build_store(tmp_path / "b", ToyImages()).verify() == []


def test_processes_end_with_their_parent(tmp_path):
    command = [sys.executable, "dataset_models/store.py", "build", str(tmp_path / "a")]
    options = ["--size", "256", "--years", "0.3", "--workers", "2"]
    process = subprocess.Popen(
        [*command, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    journal = tmp_path / "a/journal.jsonl"
    while not (journal.exists() and journal.read_bytes()):
        assert process.poll() is None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not list child processes")
    workers = [int(text) for text in children.read_text().split()]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()  # ends when the last process that holds the pipe has ended
    assert workers
    deadline = time.monotonic() + 30
    while any(_is_alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)


def _is_alive(process_id):
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_finished_store_is_opened_where_nothing_can_be_written(tmp_path):
    built = build_store(tmp_path / "a", small())
    (tmp_path / "a/build.lock").unlink()
    before = hashes(tmp_path / "a")
    assert build_store(tmp_path / "a", small()).fingerprint() == built.fingerprint()
    assert not (tmp_path / "a/build.lock").exists()
    assert hashes(tmp_path / "a") == before
