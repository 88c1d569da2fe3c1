"""Every convention in which RetinaNets differ, one field each; a published RetinaNet is a preset.

No module asks for a preset's name: it asks for the convention.
"""

from torch_retinanet.config.backbones import register_backbone
from torch_retinanet.config.config import TORCHVISION_NAMES, RetinaNetConfig, check_config
from torch_retinanet.config.presets import PRESETS

__all__ = ["PRESETS", "TORCHVISION_NAMES", "RetinaNetConfig", "check_config", "register_backbone"]
