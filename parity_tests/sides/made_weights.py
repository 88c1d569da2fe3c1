"""A side whose weights are made of others, beside one that has them plain. Needs numpy alone."""

from dataclasses import replace

from parity_tests.sides.adapter import Adapter
from parity_tests.sides.adapters import TorchModule


def plain_beside(adapters: tuple[Adapter, Adapter]) -> tuple[Adapter, Adapter]:
    """The two sides; one that alone makes weights of others, as `weight_norm` does, has the weights that it made.

    Where both make them, what they are made of is compared.
    """
    made = [_plain(adapter) for adapter in adapters]
    if all(isinstance(adapter, TorchModule) and adapter.made for adapter in made):
        return adapters
    return made[0], made[1]


def _plain(adapter: Adapter) -> Adapter:
    if not isinstance(adapter, TorchModule):
        return adapter
    from parity_tests.sides.torch_plain import made_weights, plain

    names = made_weights(adapter.module)
    return replace(adapter, module=plain(adapter.module), made=names) if names else adapter
