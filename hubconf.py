"""`torch.hub.load("OWNER/torch-retinanet", "retinanet_resnet50_fpn", weights="COCO_V1")`."""

from torch_retinanet.factories import retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2

dependencies = ["torch", "torchvision", "numpy", "PIL", "safetensors", "h5py"]

__all__ = ["dependencies", "retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2"]
