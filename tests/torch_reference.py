#!/usr/bin/python3
"""torch_reference.py -- PyTorch's answers, for the tests and the benchmarks.

    tests/torch_reference.py tests/reference/layers.safetensors tests/reference/torch.safetensors

writes inputs, outputs and gradients of every layer, and of a small paper-unet,
in Tempera's conventions: images NHWC, windows (rows, columns, in, out); and to the
second file networks as PyTorch saves them, with scores that they give.  Needs
Debian's python3-torch; the tests read the file and need no PyTorch.  bench/
imports the network from here.
"""

import json
import re
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


# --- Today's networks -------------------------------------------------------------
#
# Parts have the names that they have in Tempera; `named' gives each tensor's.


def conv(cin, cout, size=3, bias=True):
    return nn.Conv2d(cin, cout, size, padding=size // 2, bias=bias)


def norm_of(channels):
    most = max(1, min(32, channels // 4))
    return nn.GroupNorm(max(d for d in range(1, most + 1) if channels % d == 0), channels)


class Attention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.heads = max(1, channels // 64)
        self.norm, self.qkv = norm_of(channels), conv(channels, 3 * channels, 1)
        self.projection = conv(channels, channels, 1)

    def forward(self, x):
        n, c, h, w = x.shape
        q, k, v = (self.qkv(self.norm(x)).view(n, 3, self.heads, c // self.heads, h * w)
                   .permute(1, 0, 2, 4, 3))
        weights = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, -1)
        return x + self.projection((weights @ v).transpose(-1, -2).reshape(n, c, h, w))


class EdmBlock(nn.Module):
    def __init__(self, cin, cout, embedding, resample=None, attention=False):
        super().__init__()
        self.norm0, self.convolution0 = norm_of(cin), conv(cin, cout)
        self.modulation = nn.Linear(embedding, 2 * cout)
        self.norm1, self.convolution1 = norm_of(cout), conv(cout, cout)
        self.shortcut = conv(cin, cout, 1) if cin != cout else None
        self.attention = Attention(cout) if attention else None
        self.resampled = {None: lambda x: x, "down": lambda x: F.avg_pool2d(x, 2),
                          "up": lambda x: F.interpolate(x, scale_factor=2.0)}[resample]

    def forward(self, x, e):
        beside = self.resampled(x)
        if self.shortcut is not None:
            beside = self.shortcut(beside)
        x = self.convolution0(self.resampled(F.silu(self.norm0(x))))
        scale, shift = self.modulation(e)[:, :, None, None].chunk(2, 1)
        x = beside + self.convolution1(F.silu(torch.addcmul(shift, self.norm1(x), scale + 1)))
        return x if self.attention is None else self.attention(x)


class NoiseEmbedding(nn.Module):
    def __init__(self, features, out):
        super().__init__()
        self.first, self.second = nn.Linear(features, out), nn.Linear(out, out)

    def forward(self, noise):
        half = self.first.in_features // 2
        phases = noise[:, None] * 1e-4 ** (torch.arange(half) / half)
        features = torch.cat([phases.cos(), phases.sin()], 1)
        return F.silu(self.second(F.silu(self.first(features))))


class Named(nn.Module):
    """A network whose parts have Tempera's names."""

    LAST = {"GroupNorm": {"weight": "gamma", "bias": "beta"}}

    def named(self):
        """Tempera's name for each tensor, the tensor, and whether it is a matrix (out, in)."""
        for path, module in self.named_modules():
            for name, value in module.named_parameters(recurse=False):
                name = self.LAST.get(type(module).__name__, {}).get(
                    name, {"weight": "weights"}.get(name, name))
                yield ("body." + re.sub(r"(down|middle|up|halving|doubling)[.]", r"\1", path) + "."
                       + name, value, isinstance(module, nn.ConvTranspose2d))

    def load(self, tensors):
        with torch.no_grad():
            for name, value, transposed in self.named():
                value.copy_(from_tempera(tensors[name], value, transposed))
        return self


def from_tempera(given, value, transposed=False):
    """A parameter of Tempera's as PyTorch's VALUE of the same part is laid out."""
    if given.dim() == 2:
        return given.T
    if transposed:  # (1 1 in 4out), the squares of each output together
        return given.view(value.shape)
    if given.dim() == 4 and given.shape[:2] != value.shape[2:]:  # (1 1 4in out)
        return given[0, 0].T.reshape(value.shape)
    return window(given) if given.dim() == 4 else given


def to_tempera(value, transposed=False):
    if value.dim() == 2:
        return value.T
    if transposed:
        return value.reshape(1, 1, value.shape[0], -1)
    if value.dim() == 4 and value.shape[2] == 2:
        return value.reshape(value.shape[0], -1).T[None, None]
    return window_back(value)


class EdmUnet(Named):
    def __init__(self, width=64, multipliers=(1, 2, 2, 4), blocks=2, attention=(8,), unshuffle=1):
        super().__init__()
        channels, scales = [width * m for m in multipliers], len(multipliers)
        above, lowest, pixel = [width] + channels, channels[-1], unshuffle ** 2
        self.unshuffle, self.scales, self.blocks = unshuffle, scales, blocks

        def block(scale, cin, cout, resample=None):
            return EdmBlock(cin, cout, 4 * width, resample, unshuffle * 2 ** scale in attention)
        self.embedding = NoiseEmbedding(width, 4 * width)
        self.entry = conv(2 * pixel, width)
        across, down = [width], []
        for s, cout in enumerate(channels):
            if s > 0:
                down.append(block(s, above[s], above[s], "down"))
                across.append(above[s])
            for i in range(blocks):
                down.append(block(s, above[s] if i == 0 else cout, cout))
                across.append(cout)
        self.middle = nn.ModuleList([EdmBlock(lowest, lowest, 4 * width, None, True),
                                     EdmBlock(lowest, lowest, 4 * width)])
        up, at = [], lowest
        for s in reversed(range(scales)):
            if s < scales - 1:
                up.append(block(s, at, at, "up"))
            for _ in range(blocks + 1):
                up.append(block(s, at + across.pop(), channels[s]))
                at = channels[s]
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)
        self.norm, self.head = norm_of(channels[0]), conv(channels[0], 2 * pixel)

    def forward(self, x, noise):
        e = self.embedding(noise)
        if self.unshuffle > 1:
            x = F.pixel_unshuffle(x, self.unshuffle)
        sent = [self.entry(x)]
        for block in self.down:
            sent.append(block(sent[-1], e))
        x = self.middle[1](self.middle[0](sent[-1], e), e)
        for i, block in enumerate(self.up):
            # Of each scale but the lowest, the first block doubles.
            doubles = i > self.blocks and (i - self.blocks - 1) % (self.blocks + 2) == 0
            x = block(x if doubles else torch.cat([x, sent.pop()], 1), e)
        x = self.head(F.silu(self.norm(x)))
        return F.pixel_shuffle(x, self.unshuffle) if self.unshuffle > 1 else x


class DrunetBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first, self.second = (conv(channels, channels, bias=False) for _ in range(2))

    def forward(self, x):
        return x + self.second(F.relu(self.first(x)))


class Resampling(nn.Module):
    def __init__(self, kind, cin, cout):
        super().__init__()
        self.convolution = kind(cin, cout, 2, stride=2, bias=False)

    def forward(self, x):
        return self.convolution(x)


class Drunet(Named):
    def __init__(self, channels=(64, 128, 256, 512), blocks=4):
        super().__init__()

        def row(c):
            return nn.Sequential(*(DrunetBlock(c) for _ in range(blocks)))
        steps = list(zip(channels, channels[1:]))
        self.entry = conv(3, channels[0], bias=False)
        self.down = nn.ModuleList(row(c) for c in channels)
        self.halving = nn.ModuleList(Resampling(nn.Conv2d, a, b) for a, b in steps)
        self.doubling = nn.ModuleList(Resampling(nn.ConvTranspose2d, b, a) for a, b in steps)
        self.up = nn.ModuleList(row(c) for c in channels[:-1])
        self.head = conv(channels[0], 2, bias=False)

    def forward(self, x, noise):
        x = self.entry(PaperUnet.with_noise(x, noise))
        entered = []
        for down, halve in zip(self.down, self.halving):
            entered.append(x)
            x = halve(down(x))
        x = x + self.down[-1](x)
        for s in reversed(range(len(entered))):
            x = entered[s] + self.up[s](self.doubling[s](x))
        return self.head(x)


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
    for case, net in (("edm-unet", EdmUnet(8, (1, 1), 1, (4,), 2)),
                      ("edm-unet-plain", EdmUnet(4, (1, 2), 1, (2,))),
                      ("drunet", Drunet((3, 4, 5), 2))):
        with torch.no_grad():
            for name, value, _ in net.named():
                value.copy_(torch.randn_like(value) / value[0].numel() ** 0.5)
        x, noise = image(2, 8, 12, 2), torch.randn(2)
        y = to_nhwc(net(to_nchw(x), noise))
        g = torch.randn_like(y)
        y.backward(g)
        keep(case, x=x, noise=noise, y=y, g=g,
             **{prefix + name: to_tempera(t, transposed)
                for name, value, transposed in net.named()
                for prefix, t in (("", value), ("grad-", value.grad))})
    return kept


def trained_elsewhere():
    """Networks as PyTorch has them, names and layouts too, with scores of theirs."""
    torch.manual_seed(2)
    kept = {}
    for case, net in (("edm-unet", EdmUnet(4, (1, 2), 1, (2,))),
                      ("edm-unet-unshuffled", EdmUnet(8, (1, 1), 1, (4,), 2)),
                      ("drunet", Drunet((3, 4, 5), 1))):
        for name, value in net.state_dict().items():
            value.copy_(torch.randn_like(value) / max(1, value[0].numel()) ** 0.5)
            kept[case + "/" + name] = value.numpy()
        x, sigma = 30 * torch.randn(2, 8, 12, 2), torch.tensor([0.5, 20.0])
        with torch.no_grad():
            score = preconditioned_score(net, to_nchw(x), sigma, 30.0)
        kept.update({case + ":x": x.numpy(), case + ":sigma": sigma.numpy(),
                     case + ":score": to_nhwc(score).numpy()})
    return kept


def preconditioned_score(net, x, sigma, sigma_data):
    """The score of the denoiser that Karras et al. 2022, table 1, make of a network."""
    s = sigma.view(-1, 1, 1, 1)
    total = s ** 2 + sigma_data ** 2
    denoised = (sigma_data ** 2 / total * x
                + s * sigma_data / total.sqrt() * net(x / total.sqrt(), sigma.log()))
    return (denoised - x) / s ** 2


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
    if len(sys.argv) != 3:
        sys.exit("usage: torch_reference.py LAYERS.safetensors TORCH.safetensors")
    write_safetensors(sys.argv[1], references())
    write_safetensors(sys.argv[2], trained_elsewhere())
