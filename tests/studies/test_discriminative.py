"""Image classifiers: networks, counted parameters and MACs, and selected tests."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from benchmarks.discriminative.architectures import ARCHITECTURES, OPTIMISERS  # noqa: E402
from benchmarks.discriminative.counting import (  # noqa: E402
    macs,
    parameters,
    training_macs,
    weighted_training,
)
from benchmarks.image_classifiers import (  # noqa: E402
    image_shape,
    labelled_images,
    training_step,
)
from tests.studies.projects import run_benchmarks  # noqa: E402

DEVICE = torch.device("cpu")
#: Parameters, and millions of MACs, of the CIFAR-10 variants. LeNet by hand: 28² x 6 x 75 +
#: 10² x 16 x 150 + 400 x 120 + 120 x 84 + 84 x 10. Published: parameters of ResNet-18, and 910 M
#: MACs of DenseNet-121 and SimpleDLA. The other figures only detect changes.
KNOWN = {
    "lenet": (62_006, pytest.approx(0.65172)),
    "vgg11": (9_231_114, pytest.approx(153, rel=0.01)),
    "resnet18": (11_173_962, pytest.approx(556, rel=0.01)),
    "resnet50": (23_520_842, pytest.approx(1_300, rel=0.01)),
    "densenet121": (6_956_298, pytest.approx(910, rel=0.03)),
    "simple_dla": (15_142_970, pytest.approx(910, rel=0.01)),
}


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seed weights and images."""
    torch.manual_seed(0)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architecture(name: str) -> None:
    """An architecture returns ten logits per image, and its loss falls in training."""
    model = ARCHITECTURES[name](DEVICE)
    images, labels = labelled_images(4, DEVICE, model.config)
    with torch.inference_mode():
        assert (4, 10) == tuple(model.eval()(images).logits.shape)
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    first = training_step(model, optimiser, images, labels)
    assert training_step(model, optimiser, images, labels) < first < 20


@pytest.mark.parametrize("name", KNOWN)
def test_known_size(name: str) -> None:
    """Parameters and MACs are the known ones at this size."""
    model = ARCHITECTURES[name](DEVICE).eval()
    images, _ = labelled_images(2, DEVICE)
    assert KNOWN[name] == (parameters(model), macs(model, images) / 1e6)


def test_training_macs() -> None:
    """LeNet by hand: three times the forward pass, without the gradient of the images."""
    model = ARCHITECTURES["lenet"](DEVICE)
    assert 3 * 651_720 - 352_800 == training_macs(model, *labelled_images(2, DEVICE))


def test_training_macs_of_groups() -> None:
    """The backward pass of grouped convolutions has twice the MACs of the forward pass."""
    model = ARCHITECTURES["mobilenet_v2"](DEVICE)
    images, labels = labelled_images(2, DEVICE)
    share = training_macs(model.train(), images, labels) / macs(model.eval(), images)
    assert 2.9 < share < 3


def test_counting_leaves_the_model() -> None:
    """Counting a training step changes neither weights nor running statistics."""
    model = ARCHITECTURES["vgg11"](DEVICE).train()
    images, labels = labelled_images(2, DEVICE)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    training_macs(model, *labelled_images(2, DEVICE))
    step = partial(training_step, images=images, labels=labels)
    assert weighted_training(step, model, torch.optim.AdamW, 2) > 0
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


def test_counting_attention() -> None:
    """The products of attention are counted: 2 x 65² x 192 in each of twelve layers of ViT."""
    images, _ = labelled_images(2, DEVICE)
    linear = 64 * 48 * 192 + 12 * 65 * (4 * 192**2 + 2 * 192 * 768) + 192 * 10
    counted = macs(ARCHITECTURES["vit"](DEVICE).eval(), images)
    assert linear + 12 * 2 * 65**2 * 192 == counted


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimiser(name: str) -> None:
    """Each optimiser changes the weights."""
    model = ARCHITECTURES["lenet"](DEVICE)
    weight = next(model.parameters())
    before = weight.detach().clone()
    training_step(model, OPTIMISERS[name](model.parameters()), *labelled_images(4, DEVICE))
    assert not before.equal(weight)


def test_bf16_training() -> None:
    """In bf16 the forward pass uses bf16, and the weights keep their dtype."""
    model = ARCHITECTURES["lenet"](DEVICE)
    seen: list[torch.dtype] = []
    model.layers[-1].register_forward_hook(lambda *call: seen.append(call[2].dtype))
    optimiser = OPTIMISERS["sgd"](model.parameters())
    loss = training_step(model, optimiser, *labelled_images(4, DEVICE), torch.bfloat16)
    assert [torch.bfloat16] == seen
    assert {torch.float32} == {weight.dtype for weight in model.parameters()}
    assert loss.isfinite()


def test_images_of_a_configuration() -> None:
    """Images have the size, channels and labels of a configuration, by default 224 pixels."""
    config = transformers.ViTConfig(image_size=48, num_channels=1, num_labels=3)
    images, labels = labelled_images(32, DEVICE, config)
    assert (32, 1, 48, 48) == tuple(images.shape)
    assert {0, 1, 2} == set(labels.tolist())
    assert (3, 224, 224) == image_shape(transformers.ResNetConfig())
    assert (3, 8, 16) == image_shape(transformers.PretrainedConfig(image_size=[8, 16]))


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of the folder, without measuring."""
    return run_benchmarks("-q", "benchmarks/discriminative", *args)


def collected(*args: str) -> list[str]:
    """Return the names of the tests of a run."""
    lines = run("--collect-only", *args).stdout.splitlines()
    return [line.rpartition("::")[2] for line in lines if "::" in line]


def checkpoint(folder: Path, model: transformers.PreTrainedModel) -> str:
    """Save a small model, and return its path."""
    model.save_pretrained(folder)
    return str(folder)


def test_axes() -> None:
    """Options select architecture, batch, precision and, for training, the optimiser."""
    found = collected(
        "--bench-axis=architecture=lenet,vit",
        "--bench-axis=batch=256",
        "--bench-axis=precision=bf16",
        "--bench-axis=optimiser=sgd,adam",
    )
    assert [
        "test_inference[lenet-batch256-bf16]",
        "test_inference[vit-batch256-bf16]",
        "test_training_step[sgd-lenet-batch256-bf16]",
        "test_training_step[sgd-vit-batch256-bf16]",
        "test_training_step[adam-lenet-batch256-bf16]",
        "test_training_step[adam-vit-batch256-bf16]",
    ] == found


def test_slice() -> None:
    """Without options three architectures run inference and training."""
    assert 6 == len(collected())


def test_image_checkpoint(tmp_path: Path) -> None:
    """A checkpoint of an image classifier runs both tests, with images of its own size."""
    config = transformers.ViTConfig(
        image_size=48,
        patch_size=16,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=3,
    )
    path = checkpoint(tmp_path / "small", transformers.ViTForImageClassification(config))
    report = tmp_path / "junit.xml"
    ran = run(f"--energy-model={path}", "-rA", f"--junitxml={report}")
    assert 0 == ran.returncode, ran.stdout
    assert "test_inference[small-batch4-fp32]" in ran.stdout
    assert "test_training_step[adamw-small-batch4-fp32]" in ran.stdout
    assert "2 passed" in ran.stdout
    assert 2 == report.read_text().count('name="study.image" value="3x48x48"')


def test_causal_checkpoint(tmp_path: Path) -> None:
    """A checkpoint of a language model deselects every test of this folder."""
    config = transformers.LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    path = checkpoint(tmp_path, transformers.LlamaForCausalLM(config))
    ran = run("--collect-only", f"--energy-model={path}")
    assert (5, "") == (ran.returncode, ran.stderr)
    assert "(6 deselected)" in ran.stdout


@pytest.mark.parametrize(
    ("option", "error"),
    [
        (
            "--bench-axis=architecture=alexnet",
            "--bench-axis architecture=alexnet: expected one of: " + ", ".join(ARCHITECTURES),
        ),
        ("--energy-model={path}/nowhere", "--energy-model {path}/nowhere: no such folder"),
        (
            "--energy-model={path}",
            "--energy-model {path}: its config.json names no class of transformers in "
            '"architectures": save it with save_pretrained of such a class',
        ),
    ],
    ids=["architecture", "path", "class"],
)
def test_invalid_options(tmp_path: Path, option: str, error: str) -> None:
    """An unknown architecture, a missing path, and a model without a class are errors."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "resnet"}))
    ran = run(option.format(path=tmp_path))
    assert (4, f"ERROR: {error.format(path=tmp_path)}\n\n") == (ran.returncode, ran.stderr)
