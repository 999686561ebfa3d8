"""A tiny Llama that writes letter by letter, and the same on spikes, which writes the same.

pip install '.[all]' scikit-learn
python examples/language_model.py    # about half a minute on one core
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn import datasets
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

import snnconvert

LENGTH, STEPS = 64, 200  # letters that the model sees, batches that it is trained on


def text() -> str:
    """English text: descriptions of data sets, which come with scikit-learn."""
    makers = ("iris", "wine", "digits", "diabetes", "breast_cancer")
    return "\n".join(getattr(datasets, f"load_{name}")().DESCR for name in makers)


def trained(windows: Tensor, letters: int) -> nn.Module:
    """Two blocks with rotary positions, RMSNorm, grouped queries and SiLU gates."""
    config = LlamaConfig(
        vocab_size=letters,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=LENGTH,
        use_cache=False,
    )
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=STEPS)
    for _ in range(STEPS):
        ids = windows[torch.randint(len(windows), (16,))]
        loss = model(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def perplexity(logits: Tensor, ids: Tensor) -> float:
    """``exp`` of the mean cross-entropy of each next letter."""
    return float(F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).exp())


@torch.no_grad()
def main() -> None:
    torch.manual_seed(0)
    words = text()
    letters = sorted(set(words))
    ids = torch.tensor([letters.index(letter) for letter in words])
    windows = ids.unfold(0, LENGTH, LENGTH)
    held_out, training = windows[::8], windows[torch.arange(len(windows)) % 8 > 0]
    with torch.enable_grad():
        model = trained(training, len(letters))

    # Token ids are held, the same at every step; what they look up arrives as increments.
    snn = snnconvert.convert(
        model,
        {"input_ids": held_out[:2]},
        "fully_spiking",
        calibration=[{"input_ids": training[:64]}],
    )
    print(snn.report.verdict(), "\n")
    source = model(input_ids=held_out).logits
    spiking = snn.simulate(input_ids=held_out).logits[-1]
    same = (source.argmax(-1) == spiking.argmax(-1)).float().mean()
    print(f"perplexity {perplexity(spiking, held_out):.3f}", end=" ")
    print(f"(source {perplexity(source, held_out):.3f}), {same:.2%} of next letters the same\n")

    written, by_spikes = (held_out[0].tolist() for _ in range(2))
    for _ in range(40):
        seen = torch.tensor([written[-LENGTH:]])
        written.append(int(model(input_ids=seen).logits[0, -1].argmax()))
        seen = torch.tensor([by_spikes[-LENGTH:]])
        by_spikes.append(int(snn.simulate(input_ids=seen).logits[-1, 0, -1].argmax()))
    for name, found in {"source": written, "spikes": by_spikes}.items():
        print(f"{name}: {''.join(letters[i] for i in found[LENGTH:])!r}")


if __name__ == "__main__":
    main()
