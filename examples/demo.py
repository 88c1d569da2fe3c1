"""What `make demo` runs: the parity check on real photos, those that scikit-image carries."""

import sys
from pathlib import Path

import skimage

from parity_tests.cli import main

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")

if __name__ == "__main__":
    out = Path("out")
    out.mkdir(exist_ok=True)
    photos = [str(Path(skimage.data_dir) / name) for name in PHOTOS]
    sys.exit(main(["--image", *photos, "--json", str(out / "parity.json")]))
