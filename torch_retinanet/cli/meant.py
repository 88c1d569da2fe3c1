"""What was meant by a word that a command does not know: another program's word for it, or the nearest one."""

from collections.abc import Collection

from torch_retinanet.errors import suggestion

COMMANDS = {
    **dict.fromkeys(("predict", "infer", "inference", "demo"), "detect"),
    **dict.fromkeys(("fit", "finetune", "fine-tune"), "train"),
    **dict.fromkeys(("test", "val", "valid", "validate", "metrics"), "evaluate"),
    **dict.fromkeys(("show", "view", "visualize", "visualise", "draw"), "browse"),
    **dict.fromkeys(("check", "stats"), "inspect"),
    **dict.fromkeys(("presets", "config", "configs"), "conventions"),
    "compare": "benchmark",
}
"""Our commands by words of other programs."""

FLAGS = {
    **dict.fromkeys(("--lr", "--learning-rate", "--lr0", "--base-lr"), ("--rate",)),
    **dict.fromkeys(("--score-thresh", "--conf", "--confidence", "--min-score"), ("--threshold",)),
    **dict.fromkeys(("--gpu", "--cuda", "--cpu", "--gpus"), ("--device",)),
    **dict.fromkeys(("--pretrained", "--checkpoint", "--model"), ("--weights",)),
    **dict.fromkeys(("--weights-backbone", "--pretrained-backbone", "--imagenet"), ("--backbone-weights",)),
    **dict.fromkeys(("--imgsz", "--img-size", "--image-size", "--size"), ("--min-side",)),
    **dict.fromkeys(("--trainable-backbone-layers", "--freeze"), ("--frozen-stages",)),
    **dict.fromkeys(("--amp", "--fp16", "--half"), ("--precision",)),
    **dict.fromkeys(("--name", "--project", "--save-dir", "--output-dir"), ("--out",)),
    "--format": ("--to",),
}
"""Our flags by those of other programs; the first that the command has."""

CHOICES = {"gpu": "cuda", "fp32": "no", "float32": "no", "tflite": "onnx", "tensorrt": "onnx", "torchscript": "onnx"}
"""Our values by those of other programs."""


def meant(typed: str, known: Collection[str]) -> str:
    """`; did you mean X?` of the words that a command knows, or nothing."""
    word = typed.replace("_", "-")
    others = (*FLAGS.get(word, ()), COMMANDS.get(word, ""), CHOICES.get(word, ""))
    found = next((other for other in others if other in known), None)
    return f"; did you mean {found}?" if found else suggestion(word, known)
