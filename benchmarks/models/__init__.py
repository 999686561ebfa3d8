"""Trained networks: what the benchmarks convert, each in one place.

Functions without arguments that return a network serve as ``python:`` references as well, as in
``snnconvert python:benchmarks.models:efficientnet_lite0``.
"""

from benchmarks.models.efficientnet import EFFICIENTNET_LITE0, efficientnet_lite0
from benchmarks.models.language import GGUF, MINILM, SMOLLM2, hugging_face, tokenizer
from benchmarks.models.mnist_cnn import MNIST_CNN, MnistCNN, mnist_cnn
from benchmarks.models.pnet import MTCNN_PNET, PNet, mtcnn_pnet
from benchmarks.models.silero import SILERO_VAD, SileroVAD, silero_vad

__all__ = [
    "EFFICIENTNET_LITE0",
    "GGUF",
    "MINILM",
    "MNIST_CNN",
    "MTCNN_PNET",
    "SILERO_VAD",
    "SMOLLM2",
    "MnistCNN",
    "PNet",
    "SileroVAD",
    "efficientnet_lite0",
    "hugging_face",
    "mnist_cnn",
    "mtcnn_pnet",
    "silero_vad",
    "tokenizer",
]
