#!/usr/bin/python3
"""peer.py -- PyTorch doing the benchmarks' work, one command a line.

    python3 peer.py WEIGHTS.safetensors THREADS TESTS-FOLDER

`forward NETWORK N SIZE float32', the same with bf16, and `train NETWORK N SIZE' time one run
of a network on N images, `layer LAYER N SIZE CHANNELS' the forward and backward of a layer,
and answer with seconds; `form' with the same words says which form of it that was; `output X.npy NOISE.npy Y.npy PRECISION'
computes one forward for comparison and answers `done'.

PyTorch is taken at its best: of several forms of the network (layouts, frozen
by the compiler or not) each command tries all, and keeps the fastest.

    python3 peer.py WEIGHTS.safetensors THREADS TESTS-FOLDER memory N SIZE LAYOUT

makes three training steps in a process of its own and prints the bytes that it
held at most, and those before the first step.  LAYOUT: last or first.
"""

import contextlib
import sys
import time

import numpy
import torch

sys.path.insert(0, sys.argv[3])
import torch_reference as reference  # noqa: E402

torch.set_num_threads(int(sys.argv[2]))
weights = reference.read_safetensors(sys.argv[1])
LAYOUTS = {"channels last": torch.channels_last, "channels first": torch.contiguous_format}


NETWORKS = {
    "paper-unet": lambda: reference.PaperUnet().load(weights),
    "edm-unet": reference.EdmUnet,
    "edm-unet-half": lambda: reference.EdmUnet(multipliers=(1, 2, 2), unshuffle=2),
    "drunet": reference.Drunet,
}


def network(layout, name="paper-unet"):
    return NETWORKS[name]().to(memory_format=layout)


def images(n, size, layout):
    return torch.randn(n, 2, size, size).to(memory_format=layout)


def autocast(precision):
    if precision == "bf16":
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return contextlib.nullcontext()


# Of each form its name and what makes it ready to run.
def forward_forms(work, n, size, precision):
    for name, layout in LAYOUTS.items():
        net = network(layout, work).eval()
        x, noise = images(n, size, layout), torch.ones(n)

        def freeze(net=net, x=x, noise=noise):
            return torch.jit.freeze(torch.jit.trace(net, (x, noise), check_trace=False))

        def of(make, x=x, noise=noise):
            def prepare():
                with torch.no_grad(), autocast(precision):
                    module = make()

                def run():
                    with torch.no_grad(), autocast(precision):
                        module(x, noise)
                return run
            return prepare
        yield name, of(lambda net=net: net)
        yield name + ", frozen", of(freeze)
        if precision == "float32":
            yield (name + ", frozen, optimised",
                   of(lambda freeze=freeze: torch.jit.optimize_for_inference(freeze())))


def training(n, size, layout, work="paper-unet"):
    net = network(layout, work).train()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-4)
    x, noise, u = images(n, size, layout), torch.ones(n), images(n, size, layout)

    def run():
        optimiser.zero_grad(set_to_none=True)
        loss = ((u + net(x, noise)) ** 2).mean()
        loss.backward()
        optimiser.step()
    return run


def train_forms(work, n, size):
    for name, layout in LAYOUTS.items():
        yield name, lambda layout=layout: training(n, size, layout, work)


def group_norm(x, gamma, beta, modulation):
    scale, shift = modulation[:, :, None, None].chunk(2, 1)
    y = torch.nn.functional.group_norm(x, x.shape[1] // 4, gamma, beta, 1e-5)
    return torch.nn.functional.silu(torch.addcmul(shift, y, scale + 1))


def split_heads(qkv):
    n, c, h, w = qkv.shape
    return qkv.reshape(n, 3, c // 192, 64, h * w).permute(1, 0, 2, 4, 3)


def attention(qkv):
    q, k, v = split_heads(qkv)
    o = torch.softmax(q @ k.transpose(-1, -2) / 8, -1) @ v
    return o.transpose(-1, -2).reshape(qkv.shape[0], -1, *qkv.shape[2:])


def flat_attention(qkv):
    q, k, v = (t.reshape(-1, *t.shape[2:]) for t in split_heads(qkv))
    logits = torch.baddbmm(torch.empty(1, 1, 1), q, k.transpose(1, 2), beta=0, alpha=1 / 8)
    o = torch.bmm(torch.softmax(logits, -1), v)
    return o.transpose(-1, -2).reshape(qkv.shape[0], -1, *qkv.shape[2:])


LAYERS = {
    "silu": [torch.nn.functional.silu],
    "group-norm": [group_norm],
    "attention": [attention, flat_attention],
    "unshuffle": [lambda x: torch.nn.functional.pixel_unshuffle(x, 2)],
}


def layer_forms(work, n, size, channels):
    for layout_name, layout in LAYOUTS.items():
        wide = 3 * channels if work == "attention" else channels
        parameters = [torch.randn(channels), torch.randn(channels), torch.randn(n, 2 * channels)]
        inputs = [torch.randn(n, wide, size, size).to(memory_format=layout),
                  *(parameters if work == "group-norm" else [])]
        for i, function in enumerate(LAYERS[work]):
            def prepare(function=function, inputs=inputs):
                leaves = [t.requires_grad_() for t in inputs]
                g = torch.ones_like(function(*leaves))

                def run():
                    for t in leaves:
                        t.grad = None
                    function(*leaves).backward(g)
                return run
            yield "%s, %d" % (layout_name, i), prepare


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def fastest(forms):
    best = None
    for name, prepare in forms:
        try:
            run = prepare()
            run()
            run()
            took = min(seconds(run) for _ in range(3))
        except RuntimeError:  # a form that this build of PyTorch cannot run
            continue
        if best is None or took < best[0]:
            best = took, name, run
    return best[1:]


def peak_bytes():
    # Not getrusage's, in which what the parent held before `exec' counts too.
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024


if len(sys.argv) > 4:
    n, size = int(sys.argv[5]), int(sys.argv[6])
    before = peak_bytes()
    run = training(n, size, LAYOUTS["channels " + sys.argv[7]])
    for _ in range(3):
        run()
    print(peak_bytes(), before)
    sys.exit()

ready = {}
for line in sys.stdin:
    words = line.split()
    if words[0] == "output":
        x, noise = (torch.from_numpy(numpy.load(f)) for f in words[1:3])
        with torch.no_grad(), autocast(words[4]):
            y = network(torch.channels_last).eval()(reference.to_nchw(x), noise)
        numpy.save(words[3], reference.to_nhwc(y).float().contiguous().numpy())
        print("done", flush=True)
        continue
    asks_form = words[0] == "form"
    key = tuple(words[1:] if asks_form else words)
    if key not in ready:
        ready.clear()  # one at a time in memory
        forms = {"forward": forward_forms, "train": train_forms, "layer": layer_forms}[key[0]]
        ready[key] = fastest(forms(*(int(w) if w.isdigit() else w for w in key[1:])))
    form, run = ready[key]
    print(form if asks_form else seconds(run), flush=True)
