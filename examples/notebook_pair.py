"""The notebook's RetinaNet in Keras and in torch, held against each other by `compare_models` alone.

    python examples/notebook_pair.py

ends with

    equal: 83 taps agree, in 582 comparisons
"""

import sys
from typing import Any

from parity_tests import KerasModel, OwnTaps, Result, TorchModule, compare_models
from parity_tests.retinanet.names import longest_sums
from parity_tests.retinanet.setup import start_run
from parity_tests.retinanet.side import PACKAGES
from parity_tests.rule.errors import refusals
from torch_retinanet.weights.keras_names import keras_name


def names_of(reference: Any, port: Any) -> dict[str, str]:
    """The reference's name of each variable of the port; the layers of the heads have numbers in torch."""
    heads = (
        (head, i, layer) for head in ("cls_head", "box_head") for i, layer in enumerate(getattr(reference, head).layers)
    )
    layers = {f"{head}/{i}": f"{head}/{layer.name}" for head, i, layer in heads}
    known = {name: keras_name(name).rpartition("/") for name in port if keras_name(name)}
    return {name: f"{layers.get(layer, layer)}/{variable}" for name, (layer, _, variable) in known.items()}


def compare(rungs: tuple[str, ...] = ("forward", "gradients")) -> Result:
    """Both networks with the weights, and on the digits, of the default run of `retinanet-parity`."""
    run = start_run("notebook")
    sides, scene = (run.sides.reference("float64"), run.sides.port("float64")), run.inputs.training((32, 64), 2, 1)[0]
    reference, port = (side.model for side in sides)
    terms = longest_sums({name: values.shape for name, values in run.weights.items()})
    taps = OwnTaps(flat=("logits", "deltas", "outputs"), terms=terms, refusals=refusals(*PACKAGES))
    variables = port.state_dict()
    return compare_models(
        KerasModel(reference, taps),
        TorchModule(port, taps),
        scene.images,
        names=names_of(reference, variables),
        loss=(sides[0].loss_of(scene), sides[1].loss_of(scene)),
        rungs=rungs,
    )


if __name__ == "__main__":
    result = compare()
    print(result.summary)
    sys.exit(result.exit_code)
