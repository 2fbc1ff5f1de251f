"""Grad-CAM of PyTorch networks with seeded weights, for ../grad_cam.rs: writes maps.safetensors beside itself.

Needs torch, numpy and safetensors, and the folder of the golden vectors, whose make_goldens.py has the networks:

    python make.py ../../../../shared/goldens

Each map is that of a module's result, which a class's score is differentiated by with autograd in double precision:

    weights[k] = mean over pixels of d score / d result[k]      map = relu(sum_k weights[k] * result[k])

The score of a segmentation is the sum of a class's logits over the image, or over the pixels whose largest logit it is. A tensor's name is
`CASE/HEIGHTxWIDTH/MODULE/CLASS/PIXELS`; its last two sizes are the map's.
"""

import dataclasses
import importlib.util
import pathlib
import sys

import torch
from safetensors.torch import save_file

# Case, side of the image (None: the golden's), modules, classes.
CASES = [
    ("efficientnet_b0", None, ["features.8", "features.5.1", "features.3"], [0, 2]),
    ("squeezenet1_1", None, ["classifier.2", "features.9", "features.5"], [2]),
    ("resnet18", None, ["layer4", "maxpool"], [1]),
    ("polsinelli_cnn", 67, ["up"], [1]),
    ("anam_net", 32, ["conv_up_1", "bottleneck3", "conv_up_3"], [1]),
    ("unet_anam", 32, ["conv5_block", "conv_up_4"], [1]),
    ("enet_anam", None, ["regular1_4", "upsample4_0"], [2]),
    ("miniseg", None, ["down2", "up2_act"], [1]),
    ("lednet", None, ["encoder.layers.3", "encoder.layers.14"], [2]),
    ("residual_attention_unet", None, ["bottom", "dec3", "dec2"], [3]),
]


def main():
    goldens = pathlib.Path(sys.argv[1])
    spec = importlib.util.spec_from_file_location("make_goldens", goldens / "make_goldens.py")
    made = importlib.util.module_from_spec(spec)
    sys.modules["make_goldens"] = made
    spec.loader.exec_module(made)
    # The function of this name has no derivative in older versions.
    made.F.channel_shuffle = lambda x, groups: x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)
    cases = {case.name: case for case in made.CASES}
    maps = {}
    for name, side, modules, classes in CASES:
        case = cases[name]
        model = case.build().eval()
        made.load_synthetic(model, case)
        model.double()
        if side is not None:
            case = dataclasses.replace(case, shape=(case.shape[0], side, side))
        image = made.make_inputs(case)["input"].double()
        results = {}
        for path in modules:
            module = model.get_submodule(path)
            module.register_forward_hook(lambda _m, _a, result, path=path: results.__setitem__(path, result))
        scores = model(image)
        scores = scores["output"] if isinstance(scores, dict) else scores
        for path, result in results.items():
            for label in classes:
                mask = scores.argmax(1) == label
                sums = {"image": scores[:, label].sum()}
                if scores.dim() == 4 and mask.any() and not mask.all():
                    sums["mask"] = scores[:, label][mask].sum()
                for pixels, score in sums.items():
                    (gradient,) = torch.autograd.grad(score, result, retain_graph=True)
                    weights = gradient.mean((2, 3), keepdim=True)
                    found = torch.relu((weights * result).sum(1))[0]
                    key = f"{name}/{image.shape[2]}x{image.shape[3]}/{path}/{label}/{pixels}"
                    share = (found > 0).double().mean().item()
                    print(f"{key:60} up to {found.max().item():.3g}, {share:.0%} not 0", flush=True)
                    # A map of zeros says nothing of the gradient.
                    if found.max() > 0:
                        maps[key] = found.detach().float().contiguous()
    save_file(maps, pathlib.Path(__file__).parent / "maps.safetensors")


main()
