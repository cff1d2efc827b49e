"""Frames on disk for tests: small, textured, with headers as wanted."""

import numpy as np
from astropy.io import fits
from scipy.ndimage import gaussian_filter

SIDE = 64


def texture(seed, side=SIDE, level=500.0):
    noise = np.random.default_rng(seed).normal(size=(side, side))
    return (level * (1 + 0.05 * gaussian_filter(noise, 2, mode="wrap") / 0.14)).astype(np.float32)


def write_frame(path, image, *, time="2011-10-08T11:15:33.003", centre=(0.0, 0.0), **cards):
    """Write a FITS frame that looks to ``centre`` (arcsec); None leaves time or place out."""
    hdu = fits.PrimaryHDU(image)
    if time is not None:
        hdu.header["DATE_OBS"] = time
    if centre is not None:
        place = {"CRPIX": (np.array(image.shape[::-1]) + 1) / 2, "CRVAL": centre}
        for axis, kind in ((1, "Solar-X"), (2, "Solar-Y")):
            hdu.header[f"CTYPE{axis}"], hdu.header[f"CUNIT{axis}"] = kind, "arcsec"
            hdu.header[f"CDELT{axis}"] = 0.5
            for key, values in place.items():
                hdu.header[f"{key}{axis}"] = values[axis - 1]
    hdu.header["TELESCOP"], hdu.header["INSTRUME"] = "HINODE", "SOT/NB"
    for key, value in cards.items():
        hdu.header[key] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    hdu.writeto(path)
    return path


def class_folders(folder, *, n_scenes=3, n_frames=4, classes=("quiet", "sunspots")):
    """Write ``n_scenes`` observations a class, 10 days apart, each of frames a minute apart."""
    start = np.datetime64("2011-10-08T00:00:00")
    for c, name in enumerate(classes):
        for scene in range(n_scenes):
            still = texture(100 * c + scene)
            for k in range(n_frames):
                minutes = 60 * 24 * (10 * scene + 100 * c) + k
                noise = np.random.default_rng([c, scene, k]).normal(size=still.shape)
                write_frame(
                    folder / name / f"{c}{scene}{k}.fits",
                    (still + 2 * noise).astype(np.float32),
                    time=str(start + np.timedelta64(minutes, "m")),
                    centre=(100.0 * scene, 200.0 * c),
                )
    return folder
