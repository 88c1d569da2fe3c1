"""The detection losses of the keras.io example; mirrors `torch_retinanet/losses/detection.py`.

Lin et al., Focal Loss for Dense Object Detection (2017), equation 5 and section 4.1; smooth L1 as in Girshick, Fast
R-CNN (2015), equation 3.
"""

from typing import Any

import keras
from keras import ops

from keras_reference.errors import InputError


@keras.saving.register_keras_serializable(package="keras_reference")
class RetinaNetClassificationLoss(keras.losses.Loss):
    """Focal loss of class scores without activation (...,K), summed over classes: (...).

    `y_true` (...,K) holds 0 and 1. Each score adds alpha_t x (1 - p_t)^gamma x -log(p_t), of which p_t is what its
    sigmoid gives the truth, and alpha_t is `alpha` at 1, 1 - `alpha` at 0. Scores of 1e4 give finite values and slopes.
    """

    def __init__(
        self, alpha: float = 0.25, gamma: float = 2.0, *, reduction: str = "none", name: str = "classification"
    ) -> None:
        super().__init__(name=name, reduction=reduction)
        self.alpha, self.gamma = alpha, gamma

    def call(self, y_true: Any, y_pred: Any) -> Any:
        present = y_true == 1.0
        wrongness = ops.where(present, -y_pred, y_pred)  # p_t is its sigmoid's complement, -log(p_t) its softplus
        alpha = ops.where(present, ops.full_like(y_pred, self.alpha), 1.0 - self.alpha)
        losses = alpha * ops.power(ops.sigmoid(wrongness), self.gamma) * ops.softplus(wrongness)
        return ops.sum(losses, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="keras_reference")
class RetinaNetBoxLoss(keras.losses.Loss):
    """Smooth L1 of box offsets (...,4), summed over the four: (...).

    Half the square of a difference below 1, the difference less a half above. The example takes another limit than 1
    too, at which its formula would jump; here there is no other.
    """

    def __init__(self, *, reduction: str = "none", name: str = "box") -> None:
        super().__init__(name=name, reduction=reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        difference = ops.absolute(y_true - y_pred)
        losses = ops.where(difference < 1.0, 0.5 * ops.square(difference), difference - 0.5)
        return ops.sum(losses, axis=-1)


@keras.saving.register_keras_serializable(package="keras_reference")
class RetinaNetLoss(keras.losses.Loss):
    """Both losses of each picture divided by its positive anchors, added up: (B,), of which Keras takes the mean.

    `y_true` (B,N,5) is what `LabelEncoder` gives, `y_pred` (B,N,4+K) what `RetinaNet` gives. All anchors but those
    ignored add to the classification, positive ones alone to the boxes; a picture without positive anchors adds 0.

    Args:
        num_classes: K.
        alpha: the weight of a class that is there; one that is not has 1 - `alpha`.
        gamma: how much less an anchor counts the better it is classified.

    Raises:
        InputError: for last axes other than 5 and 4 + K.
    """

    def __init__(
        self,
        num_classes: int = 80,
        alpha: float = 0.25,
        gamma: float = 2.0,
        *,
        reduction: str = "sum_over_batch_size",
        name: str = "retina_net_loss",
    ) -> None:
        super().__init__(name=name, reduction=reduction)
        self.num_classes = num_classes
        self.classification = RetinaNetClassificationLoss(alpha, gamma)
        self.box = RetinaNetBoxLoss()

    def call(self, y_true: Any, y_pred: Any) -> Any:
        terms = self.terms(y_true, y_pred)
        return terms["classification"] + terms["box"]

    def terms(self, y_true: Any, y_pred: Any) -> dict[str, Any]:
        """Per picture (B,): `classification` and `box`, both already divided by `normaliser`, its positive anchors."""
        y_true, y_pred = (ops.convert_to_tensor(y, dtype=self.dtype) for y in (y_true, y_pred))
        self._check_shapes(y_true, y_pred)
        classes = y_true[..., 4]
        truth = ops.one_hot(ops.cast(classes, "int32"), self.num_classes, dtype=self.dtype)  # background: all 0
        classification = ops.where(classes == -2.0, 0.0, self.classification(truth, y_pred[..., 4:]))
        box = ops.where(classes > -1.0, self.box(y_true[..., :4], y_pred[..., :4]), 0.0)
        normaliser = ops.sum(ops.cast(classes > -1.0, self.dtype), axis=-1)
        return {
            "classification": ops.divide_no_nan(ops.sum(classification, axis=-1), normaliser),
            "box": ops.divide_no_nan(ops.sum(box, axis=-1), normaliser),
            "normaliser": normaliser,
        }

    def get_config(self) -> dict[str, Any]:
        config = {"alpha": self.classification.alpha, "gamma": self.classification.gamma}
        return {**super().get_config(), "num_classes": self.num_classes, **config}

    def _check_shapes(self, y_true: Any, y_pred: Any) -> None:
        for name, y, values in (("y_true", y_true, 5), ("y_pred", y_pred, 4 + self.num_classes)):
            if len(y.shape) != 3 or y.shape[-1] != values:
                raise InputError(f"{name}: shape {tuple(y.shape)} must be (B,N,{values})")
