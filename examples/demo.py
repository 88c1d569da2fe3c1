"""What `make demo` runs: the parity check on real photos, then a detector trained on real handwritten digits."""

import sys
from pathlib import Path

import skimage.data
import train_digits

from parity_tests.cli import main

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
STEPS = 800

if __name__ == "__main__":
    out = Path("out")
    out.mkdir(exist_ok=True)
    photos = [str(Path(skimage.data.__file__).parent / name) for name in PHOTOS]
    network = ["--preset", "notebook", "--rungs", "shapes", "parameters", "forward"]
    status = main([*network, "--image", *photos, "--json", str(out / "parity.json")])
    print(f"\nA small detector on handwritten digits, {STEPS} steps: some three minutes", flush=True)
    train_digits.main(STEPS, out)
    sys.exit(status)
