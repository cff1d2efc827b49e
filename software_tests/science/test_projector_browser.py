"""TensorBoard's projector in a real browser: both tensors load and the Sun is drawn."""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from science.embedding.projector import write_projector
from tools.plotting.embedding import thumbnails_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless=new", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader"]
FLAGS += ["--enable-unsafe-swiftshader", "--window-size=1300,900", "--hide-scrollbars"]


def disc(n):
    """Give images of a disc, (n, y, x, channel)."""
    y, x = np.mgrid[:32, :32] - 15.5
    bright = np.maximum(1 - np.hypot(x, y) / 14, 0)[None, :, :, None]
    return bright * np.linspace(50, 200, n)[:, None, None, None]


def answer(url, seconds=60):
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as reply:
                return json.loads(reply.read())
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


@pytest.fixture
def projector(tmp_path, generator):
    """Give the address of a TensorBoard that shows 150 samples."""
    n = 150
    features = generator.normal(size=(n, 8)) + 6 * (np.arange(n) % 3)[:, None]
    metadata = {"class": [*"BCM"] * 50, "time": [str(k) for k in range(n)]}
    pictures = thumbnails_of([disc(n)], (193,))
    folder = tmp_path / "projector"
    write_projector(folder, features, features[:, :2], metadata, pictures, colour_by="class")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]
    command += ["--port", str(port), "--host", "127.0.0.1", "--load_fast=false"]
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def test_both_tensors_load_and_the_canvas_shows_the_sun(projector, tmp_path):
    runs = answer(f"{projector}/data/plugin/projector/runs")
    assert runs == ["."]
    info = answer(f"{projector}/data/plugin/projector/info?run=.")
    shapes = {e["tensorName"]: e["tensorShape"] for e in info["embeddings"]}
    assert shapes == {"features": [150, 8], "tsne": [150, 3]}
    if CHROMIUM is None:
        pytest.skip("Debian's chromium is not here")
    picture = tmp_path / "page.png"
    command = [CHROMIUM, *FLAGS, f"--screenshot={picture}", "--virtual-time-budget=30000"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"{projector}/#projector"]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    with Image.open(picture) as page:
        canvas = np.asarray(page.convert("RGB"))[150:850, 350:950].astype(int)
    red, _, blue = np.moveaxis(canvas, -1, 0)
    assert len(np.unique(canvas.reshape(-1, 3), axis=0)) > 50  # a blank canvas has one colour
    assert ((red - blue) > 60).sum() > 3000  # AIA 193 is brown: the sprites are there
