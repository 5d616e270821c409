#!/usr/bin/python3
"""torch_reference.py -- PyTorch's answers, for the tests and the benchmarks.

    tests/torch_reference.py tests/reference/layers.safetensors

writes inputs, outputs and gradients of every layer, and of a small paper-unet,
in Tempera's conventions: images NHWC, windows (rows, columns, in, out).  Needs
Debian's python3-torch; the tests read the file and need no PyTorch.  bench/
imports the network from here.
"""

import json
import struct
import sys

import numpy
import torch
import torch.nn.functional as F
from torch import nn


def write_safetensors(path, tensors):
    header, blobs, at = {}, [], 0
    for name, value in tensors.items():
        blob = numpy.ascontiguousarray(value, dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(value.shape),
                        "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def read_safetensors(path):
    with open(path, "rb") as f:
        length, = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(length))
        data = f.read()
    return {name: torch.from_numpy(
                numpy.frombuffer(data[e["data_offsets"][0]:e["data_offsets"][1]],
                                 dtype="<f4").reshape(e["shape"]).copy())
            for name, e in header.items() if name != "__metadata__"}


def to_nchw(x):
    return x.permute(0, 3, 1, 2)


def to_nhwc(x):
    return x.permute(0, 2, 3, 1)


def window(w):
    """(rows, columns, in, out) to PyTorch's (out, in, rows, columns)."""
    return w.permute(3, 2, 0, 1)


# --- paper-unet, appendix A.1 --------------------------------------------------


class Unit(nn.Module):
    def __init__(self, cin, cout, activate):
        super().__init__()
        self.convolution = nn.Conv2d(cin, cout, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(cout)
        self.activate = activate

    def forward(self, x, residual=None):
        y = self.norm(self.convolution(x))
        if residual is not None:
            y = y + residual
        return F.relu(y) if self.activate else y


class ResidualBlock(nn.Module):
    def __init__(self, cin, cout, convolutions=3):
        super().__init__()
        self.units = nn.ModuleList(Unit(cin if i == 0 else cout, cout, i < convolutions - 1)
                                   for i in range(convolutions))
        self.projection = nn.Conv2d(cin, cout, 1) if cin != cout else None

    def forward(self, x):
        residual = x if self.projection is None else self.projection(x)
        for unit in self.units[:-1]:
            x = unit(x)
        return self.units[-1](x, residual)


class PaperUnet(nn.Module):
    def __init__(self, channels=(32, 64, 128), blocks=2, convolutions=3):
        super().__init__()
        scales = len(channels)

        def group(cin, cout):
            return nn.Sequential(*(ResidualBlock(cin if i == 0 else cout, cout, convolutions)
                                   for i in range(blocks)))
        entry = (3,) + tuple(channels[:-1])
        self.down = nn.ModuleList(group(entry[s] + (s == scales - 1), channels[s])
                                  for s in range(scales))
        self.climb = nn.ModuleList(nn.Conv2d(channels[s + 1], channels[s], 3, padding=1)
                                   for s in range(scales - 1))
        self.merge = nn.ModuleList(group(2 * channels[s], channels[s]) for s in range(scales - 1))
        self.head = nn.Conv2d(channels[0], 2, 3, padding=1)

    @staticmethod
    def with_noise(x, noise):
        return torch.cat([x, noise.view(-1, 1, 1, 1).expand(-1, 1, x.shape[2], x.shape[3])], 1)

    def forward(self, x, noise):
        x = self.with_noise(x, noise)
        skips = []
        for group in self.down[:-1]:
            x = group(x)
            skips.append(x)
            x = F.avg_pool2d(x, 2)
        x = self.down[-1](self.with_noise(x, noise))
        for s in reversed(range(len(skips))):
            up = self.climb[s](F.interpolate(x, scale_factor=2.0, mode="nearest"))
            x = self.merge[s](torch.cat([skips[s], up], 1))
        return self.head(x)

    def named(self):
        """Tempera's name for each tensor, and whether it is a window."""
        for name, value in self.state_dict(keep_vars=True).items():
            if name.endswith("num_batches_tracked"):
                continue
            parts = name.split(".")
            out = []
            i = 0
            while i < len(parts):
                if parts[i] in ("down", "climb", "merge"):
                    out.append(parts[i] + parts[i + 1])
                    if parts[i] == "climb":
                        out.append("convolution")
                    i += 2
                elif parts[i] == "units":
                    i += 1
                elif i == len(parts) - 1:
                    norm = parts[i - 1] == "norm"
                    out.append({"weight": "gamma" if norm else "weights",
                                "bias": "beta" if norm else "bias",
                                "running_mean": "mean", "running_var": "variance"}[parts[i]])
                    i += 1
                else:
                    out.append(parts[i])
                    i += 1
            yield "body." + ".".join(out), value

    def load(self, tensors):
        with torch.no_grad():
            for name, value in self.named():
                given = tensors[name]
                value.copy_(window(given) if given.dim() == 4 else given)
        return self


# --- Reference values ----------------------------------------------------------


def references():
    torch.manual_seed(1)
    kept = {}

    def keep(case, **values):
        for name, value in values.items():
            kept[case + "/" + name] = value.detach().clone().numpy()

    def layer(case, function, **inputs):
        """FUNCTION of the inputs (images NHWC); its gradients for a random cotangent."""
        leaves = {n: v.clone().requires_grad_() for n, v in inputs.items()}
        y = function(**leaves)
        g = torch.randn_like(y)
        y.backward(g)
        keep(case, y=y, g=g, **inputs,
             **{"grad-" + n: v.grad for n, v in leaves.items()})

    def image(n, h, w, c):
        return torch.randn(n, h, w, c)

    def conv(stride, padding, slope=1.0):
        def run(x, w, b, r=None):
            y = to_nhwc(F.conv2d(to_nchw(x), window(w), b, stride, padding))
            if r is not None:
                y = y + r
            return F.leaky_relu(y, slope) if slope != 1 else y
        return run

    layer("conv-3x3", conv(1, 1), x=image(2, 9, 13, 5), w=torch.randn(3, 3, 5, 37),
          b=torch.randn(37))
    layer("conv-3x3-residual-relu", conv(1, 1, 0.0), x=image(1, 8, 21, 4),
          w=torch.randn(3, 3, 4, 6), b=torch.randn(6), r=image(1, 8, 21, 6))
    layer("conv-5x5-stride", conv(2, 2), x=image(1, 11, 14, 3), w=torch.randn(5, 5, 3, 4),
          b=torch.randn(4))
    layer("conv-3x3-stride-even", conv(2, 1), x=image(2, 12, 12, 3), w=torch.randn(3, 3, 3, 4),
          b=torch.randn(4))
    layer("conv-1x1-leaky", conv(1, 0, 0.1), x=image(2, 5, 7, 6), w=torch.randn(1, 1, 6, 3),
          b=torch.randn(3))
    layer("conv-7x7-valid", conv(1, 0), x=image(1, 10, 9, 2), w=torch.randn(7, 7, 2, 3),
          b=torch.randn(3))
    layer("conv-3x5", conv(1, 1), x=image(1, 6, 9, 2), w=torch.randn(3, 5, 2, 3),
          b=torch.randn(3))
    layer("relu", lambda x: F.relu(x), x=image(2, 5, 6, 3))
    layer("leaky-relu", lambda x: F.leaky_relu(x, 0.2), x=image(2, 5, 6, 3))
    layer("average-pool", lambda x: to_nhwc(F.avg_pool2d(to_nchw(x), 2)), x=image(2, 6, 8, 3))
    layer("max-pool", lambda x: to_nhwc(F.max_pool2d(to_nchw(x), 2)), x=image(2, 6, 8, 3))
    layer("upsample", lambda x: to_nhwc(F.interpolate(to_nchw(x), scale_factor=2.0)),
          x=image(2, 3, 4, 5))
    layer("up-convolution",
          lambda x, w, b: to_nhwc(F.conv2d(F.interpolate(to_nchw(x), scale_factor=2.0),
                                           window(w), b, 1, 1)),
          x=image(1, 4, 5, 6), w=torch.randn(3, 3, 6, 4), b=torch.randn(4))
    layer("concatenate", lambda a, b: torch.cat([a, b], 3), a=image(2, 4, 5, 3),
          b=image(2, 4, 5, 2))
    layer("add", lambda a, b: a + b, a=image(2, 4, 5, 3), b=image(2, 4, 5, 3))
    layer("dense", lambda x, w, b: x @ w + b, x=torch.randn(7, 5), w=torch.randn(5, 4),
          b=torch.randn(4))
    for training in (True, False):
        mean, variance = torch.randn(4), torch.rand(4) + 0.5
        before = mean.clone(), variance.clone()
        case = "batch-norm-" + ("training" if training else "running")
        layer(case, lambda x, gamma, beta: to_nhwc(
            F.batch_norm(to_nchw(x), mean, variance, gamma, beta, training, 0.1, 1e-5)),
            x=image(3, 4, 5, 4), gamma=torch.randn(4), beta=torch.randn(4))
        keep(case, **{"mean-before": before[0], "variance-before": before[1],
                      "mean-after": mean, "variance-after": variance})

    sigma = torch.tensor([0.5, -2.0, 0.0])
    u = torch.randn(3, 4, 5, 2)
    sign = torch.where(sigma < 0, -1.0, 1.0).view(-1, 1, 1, 1)
    layer("dsm-loss", lambda q: ((u + sign * q) ** 2).mean((1, 2, 3)), q=torch.randn(3, 4, 5, 2))
    keep("dsm-loss", u=u, sigma=sigma)

    w = torch.randn(6, requires_grad=True)
    keep("adam", w=w)
    optimiser = torch.optim.Adam([w], lr=0.01, betas=(0.8, 0.95), eps=1e-6)
    for step in range(3):
        w.grad = torch.randn(6)
        keep("adam", **{"g%d" % step: w.grad})
        optimiser.step()
    keep("adam", **{"w-after": w})

    net = PaperUnet((4, 6, 8), 1, 2)
    with torch.no_grad():
        for name, value in net.named():
            value.copy_(torch.rand_like(value) + 0.5 if name.endswith("variance")
                        else torch.randn_like(value) * 0.5)
    x, noise = image(2, 8, 12, 2), torch.randn(2)
    keep("unet", x=x, noise=noise,
         **{name: window_back(value) for name, value in net.named()})
    net.eval()
    keep("unet", **{"y-running": to_nhwc(net(to_nchw(x), noise))})
    net.train()
    y = to_nhwc(net(to_nchw(x), noise))
    g = torch.randn_like(y)
    y.backward(g)
    keep("unet", **{"y-training": y, "g": g},
         **{"grad-" + name: window_back(value.grad) for name, value in net.named()
            if value.grad is not None})

    layer("silu", lambda x: F.silu(x), x=4 * image(2, 5, 6, 3))
    layer("group-norm", lambda x, gamma, beta: group_norm(x, 3, gamma, beta),
          x=image(2, 5, 7, 6) + 3, gamma=torch.randn(6), beta=torch.randn(6))
    layer("group-norm-modulated", lambda x, gamma, beta, modulation: F.silu(
        modulated(group_norm(x, 5, gamma, beta), modulation)),
        x=image(2, 5, 6, 35) + 1, gamma=torch.randn(35), beta=torch.randn(35),
        modulation=torch.randn(2, 70))
    layer("attention", lambda qkv: attention(qkv, 2), qkv=image(2, 9, 10, 24))
    layer("pixel-unshuffle", lambda x: to_nhwc(F.pixel_unshuffle(to_nchw(x), 2)),
          x=image(2, 4, 6, 3))
    layer("pixel-shuffle", lambda x: to_nhwc(F.pixel_shuffle(to_nchw(x), 3)), x=image(2, 3, 2, 18))
    return kept


def group_norm(x, groups, gamma, beta):
    return to_nhwc(F.group_norm(to_nchw(x), groups, gamma, beta, 1e-5))


def modulated(x, modulation):
    """Scales and shifts, one after the other, of each image and channel."""
    scale, shift = modulation[:, None, None, :].chunk(2, -1)
    return x * (1 + scale) + shift


def attention(qkv, heads):
    """Of queries, keys and values, one after the other in the channels."""
    n, h, w, c = qkv.shape
    q, k, v = qkv.view(n, h * w, 3, heads, c // (3 * heads)).permute(2, 0, 3, 1, 4)
    weights = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, -1)
    return (weights @ v).permute(0, 2, 1, 3).reshape(n, h, w, c // 3)


def window_back(value):
    return value.permute(2, 3, 1, 0) if value.dim() == 4 else value


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: torch_reference.py FILE.safetensors")
    write_safetensors(sys.argv[1], references())
