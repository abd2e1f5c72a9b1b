"""Writes passkey_draws.json: what numpy's RandomState draws for passkey retrieval.

For every length, the longest first, and every depth: ten positions in the depth's bin, then ten keys.
"""

import json
import pathlib

import numpy


def draws(maximum_length, seed, lengths=16, depths=10, keys=10):
    numpy.random.seed(seed)
    cells = []
    for index in reversed(range(1, lengths + 1)):
        length = index * (maximum_length // lengths)
        bin_width = length // depths
        for depth in range(depths):
            low = depth * bin_width
            positions = [numpy.random.randint(low, low + bin_width) for _ in range(keys)]
            drawn = [numpy.random.randint(10000, 100000) for _ in range(keys)]
            cells.append([length, depth, positions, drawn])
    return {"maximum_length": maximum_length, "seed": seed, "cells": cells}


records = [draws(32768, 42), draws(800, 7)]
lines = []
for record in records:
    cells = ",\n".join(json.dumps(cell, separators=(",", ":")) for cell in record["cells"])
    lines.append(
        '{"maximum_length":%d,"seed":%d,"cells":[\n%s\n]}'
        % (record["maximum_length"], record["seed"], cells)
    )
text = '{"numpy":"%s","cases":[\n%s\n]}\n' % (numpy.__version__, ",\n".join(lines))
json.loads(text)
pathlib.Path(__file__).with_name("passkey_draws.json").write_text(text)
