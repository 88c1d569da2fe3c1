"""The conventions of the network: backbone, feature pyramid and heads."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch_retinanet.config.fields import convention


@dataclass(frozen=True, kw_only=True)
class BackboneConventions:
    """How the residual network is built; see `torch_retinanet/backbone.py`."""

    group: ClassVar[str] = "backbone"

    stride_in: Literal["1x1", "3x3"] = convention(
        "The convolution of a residual block that halves the picture: the first 1x1, or the 3x3.",
        "keras.applications.resnet residual_block_v1; torchvision models/resnet.py Bottleneck",
        default="3x3",
    )
    conv_bias: bool = convention(
        "Whether the convolutions of the backbone have a bias beside that of their BatchNorm.",
        "keras.applications.resnet ResNet50 (use_bias=True); torchvision models/resnet.py (bias=False)",
        default=False,
    )
    shortcut_bias: bool = convention(
        "Whether the 1x1 convolutions of shortcuts have a bias, where conv_bias gives the others none.",
        "torchvision models/resnet.py (no); monai networks/nets/resnet.py ResNet, its default bias_downsample (yes)",
        default=False,
    )
    bn_eps: float = convention(
        "What BatchNorm adds to the variance before the root.",
        "keras.applications.resnet (1.001e-5); torch.nn.BatchNorm2d (1e-5)",
        default=1e-05,
    )
    bn_momentum: float = convention(
        "The share of the new batch in a running statistic after a training step (Keras writes one minus it).",
        "keras.layers.BatchNormalization (0.99, that is 0.01); torch.nn.BatchNorm2d (0.1)",
        default=0.1,
        acts_on="training",
    )
    bn_running_var: Literal["population", "sample"] = convention(
        "The variance that enters the running one: that of the batch (divided by n), or its estimate (by n - 1).",
        "keras.layers.BatchNormalization; torch.nn.BatchNorm2d",
        default="sample",
        acts_on="training",
    )
    stem_padding: Literal["symmetric", "same"] = convention(
        "Zeros around the stem's 7x7 convolution and 3x3 pool: 3 and 1 on each side, or Keras' same, where the odd "
        "pixel goes to the bottom and right.",
        "keras.applications.resnet ResNet (conv1_pad, pool1_pad); keras-resnet 0.2.0 models/_2d.py",
        default="symmetric",
    )
    block_padding: Literal["symmetric", "same"] = convention(
        "Zeros around a residual block's 3x3 convolution with stride 2: 1 on each side, or Keras' same, where an even "
        "side gets (0, 1).",
        "torchvision models/resnet.py; tensorflow/models official/vision/modeling/layers/nn_blocks.py BottleneckBlock",
        default="symmetric",
    )
    body_init: Literal["glorot_uniform", "torchvision"] = convention(
        "Fresh kernels of backbone and pyramid: Glorot uniform, or He normal by fan out in the backbone and uniform "
        "by fan in (gain 1) in the pyramid.",
        "keras.layers.Conv2D; torchvision models/resnet.py and ops/feature_pyramid_network.py",
        default="torchvision",
        acts_on="training",
    )


@dataclass(frozen=True, kw_only=True)
class PyramidConventions:
    """How the levels P3 to P7 are made; see `torch_retinanet/fpn.py`."""

    group: ClassVar[str] = "feature pyramid"

    min_level: Literal[2, 3] = convention(
        "The finest level that the heads look at: P2, with a cell each 4 pixels, or P3, with one each 8.",
        "Lin et al. 2017 (arXiv 1708.02002), section 4 (P3); Lin et al. 2017 (arXiv 1612.03144), section 4.1 (P2)",
        default=3,
    )
    max_level: Literal[5, 6, 7] = convention(
        "The coarsest level that the heads look at: P5, P6 or P7.",
        "Lin et al. 2017 (arXiv 1708.02002), section 4 (P7); Lin et al. 2017 (arXiv 1612.03144), section 4.1 (P6)",
        default=7,
    )
    stride2_padding: Literal["same", "symmetric"] = convention(
        "Zeros around the stride-2 convolutions of P6 and P7: Keras' same, where an even side gets (0, 1) and an odd "
        "one (1, 1), or always (1, 1).",
        'keras.layers.Conv2D (padding="same"); torchvision ops/feature_pyramid_network.py LastLevelP6P7',
        default="symmetric",
    )
    p6_layer: Literal["conv", "pool"] = convention(
        "What makes P6: a 3x3 convolution with stride 2 of p6_source, or a pool that takes every second pixel of P5.",
        "torchvision ops/feature_pyramid_network.py LastLevelP6P7 (conv); monai "
        "networks/blocks/feature_pyramid_network.py LastLevelMaxPool (pool)",
        default="conv",
    )
    p6_source: Literal["c5", "p5"] = convention(
        "The level that P6 is made from: the backbone's C5, or the pyramid's P5.",
        "Lin et al. 2017 (arXiv 1708.02002), section 4, footnote 2; torchvision retinanet_resnet50_fpn",
        default="p5",
    )
    p7_relu: Literal["after", "before", "none"] = convention(
        "Where P7's ReLU stands: relu(conv(P6)), conv(relu(P6)), or nowhere.",
        "the notebook's Conv2D(activation='relu'); the keras.io example; mmdetection necks/fpn.py",
        default="before",
    )
    upsample: Literal["nearest_2x", "nearest_to_size", "bilinear_2x", "bilinear_to_size"] = convention(
        "How a level is enlarged to merge with the one below: each pixel twice, nearest pixel to that level's size, "
        "bilinear between pixel centres times 2, or bilinear between top left corners to that level's size. Times 2 "
        "needs sides that divide by 32.",
        "keras.layers.UpSampling2D(2); torchvision ops/feature_pyramid_network.py; tf.image.resize; "
        "tf.compat.v1.image.resize_images in cvisionai/keras_retinanet layers/_misc.py",
        default="nearest_to_size",
    )
    pyramid_norm: Literal["none", "batch"] = convention(
        "What levels go through before the heads look at them: nothing, or a BatchNorm each, with `bn_eps`. P6 and P7 "
        "are made from what was before it.",
        "torchvision ops/feature_pyramid_network.py; tensorflow/models official/vision/modeling/decoders/fpn.py",
        default="none",
    )
    top_down: Literal["merged", "output"] = convention(
        "What is enlarged to merge with the level below: the merged map, or what comes out of its 3x3 convolution; P5 "
        "then has no 3x3 convolution.",
        "Lin et al. 2017 (arXiv 1612.03144), section 3 (merged); cvisionai/keras_retinanet models/retinanet.py",
        default="merged",
    )


@dataclass(frozen=True, kw_only=True)
class HeadConventions:
    """How the class and box heads start and lay out their outputs; see `torch_retinanet/heads.py`."""

    group: ClassVar[str] = "heads"

    head_norm: Literal["none", "group", "batch"] = convention(
        "What stands between a convolution of a head and its ReLU: nothing; GroupNorm; or for each "
        "level a BatchNorm of its own, with `bn_eps`.",
        "Lin et al. 2017 (arXiv 1708.02002), section 4; torchvision retinanet_resnet50_fpn_v2; tensorflow/models "
        "official/vision/modeling/heads/dense_prediction_heads.py",
        default="none",
    )
    gn_groups: int = convention(
        "Into how many groups GroupNorm divides the channels.",
        "torchvision models/detection/retinanet.py retinanet_resnet50_fpn_v2 (32); monai "
        "apps/detection/networks/retinanet_network.py (8)",
        default=32,
        bounds=(1, 2**16),
    )
    gn_conv_bias: bool = convention(
        "Whether the convolution before a GroupNorm has a bias.",
        "torchvision ops/misc.py Conv2dNormActivation (no); monai apps/detection/networks/retinanet_network.py (yes)",
        default=False,
    )
    gn_eps: float = convention(
        "What GroupNorm adds to the variance before the root.",
        "torch.nn.GroupNorm (1e-5); keras.layers.GroupNormalization (1e-3)",
        default=1e-05,
    )
    head_init: Literal["glorot_uniform", "normal_prior", "he_prior", "zeros_prior", "orthogonal_prior"] = convention(
        "Fresh heads: Glorot uniform with zero biases; or the class bias -log(99), a prior of 0.01 for each class, "
        "with normal kernels of deviation 0.01, or He normal ones and a last kernel of zeros, or normal ones and zeros "
        "in the last of the class head alone, or orthogonal ones.",
        "keras.layers.Conv2D; Lin et al. 2017 (arXiv 1708.02002), section 4.1; yhenon/pytorch-retinanet model.py; "
        "cvisionai/keras_retinanet models/retinanet.py; keras-cv models/object_detection/retinanet/prediction_head.py",
        default="normal_prior",
        acts_on="training",
    )
    output_order: Literal["row_column_anchor", "anchor_row_column"] = convention(
        "The order of anchors within a level: all those of a cell together, cells by row then column, or the whole map "
        "of the first anchor, then of the second.",
        "a reshape of channels last to (B,-1,K); of channels first to (B,A,K,H,W), with its maps kept whole",
        default="row_column_anchor",
    )
