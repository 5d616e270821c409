#!/usr/bin/python3
"""peer.py -- PyTorch doing the benchmarks' work, one command a line.

    python3 peer.py WEIGHTS.safetensors THREADS TESTS-FOLDER

Commands: `forward N SIZE', `train N SIZE' time one run of paper-unet on N images
and answer with seconds; `output X.npy NOISE.npy Y.npy' computes one forward for
comparison and answers `done'.  The network is in its fastest form here: channels
last, and for forward traced, frozen and optimised for inference.
"""

import sys
import time

import numpy
import torch

sys.path.insert(0, sys.argv[3])
import torch_reference as reference  # noqa: E402

torch.set_num_threads(int(sys.argv[2]))
weights = reference.read_safetensors(sys.argv[1])


def network():
    return reference.PaperUnet().load(weights).to(memory_format=torch.channels_last)


def images(n, size):
    return torch.randn(n, 2, size, size).to(memory_format=torch.channels_last)


def frozen(n, size):
    net = network().eval()
    x, noise = images(n, size), torch.ones(n)
    with torch.no_grad():
        traced = torch.jit.freeze(torch.jit.trace(net, (x, noise)))
        traced = torch.jit.optimize_for_inference(traced)
        for _ in range(3):
            traced(x, noise)

    def run():
        with torch.no_grad():
            traced(x, noise)
    return run


def training(n, size):
    net = network().train()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-4)
    x, noise, u = images(n, size), torch.ones(n), images(n, size)

    def run():
        optimiser.zero_grad(set_to_none=True)
        loss = ((u + net(x, noise)) ** 2).mean()
        loss.backward()
        optimiser.step()
    run()
    return run


ready = {}
for line in sys.stdin:
    words = line.split()
    if words[0] == "output":
        x, noise = (torch.from_numpy(numpy.load(f)) for f in words[1:3])
        with torch.no_grad():
            y = network().eval()(reference.to_nchw(x), noise)
        numpy.save(words[3], reference.to_nhwc(y).contiguous().numpy())
        print("done", flush=True)
        continue
    if line not in ready:
        make = {"forward": frozen, "train": training}[words[0]]
        ready[line] = make(int(words[1]), int(words[2]))
    start = time.perf_counter()
    ready[line]()
    print(time.perf_counter() - start, flush=True)
