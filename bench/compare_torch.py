#!/usr/bin/env python3
"""Times of torch's scaled_dot_product_attention for the shapes of attention.cpp.

Needs torch, which brings its own threads and picks its own kernel. Causal, head_dim 128, random data;
medians. One query passes through enough pieces of memory that none is in a cache; beside it stands
the time of torch reading as many bytes once. Run on a quiet machine:

    python3 bench/compare_torch.py [--threads 1 2] [--long]
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as functional

HEAD_DIM = 128
MEMORY_BYTES = 1 << 30


def seconds(function, repetitions):
    """Median of repetitions, each of another index."""
    function(0)
    samples = []
    for index in range(repetitions):
        start = time.perf_counter()
        function(index)
        samples.append(time.perf_counter() - start)
    return statistics.median(samples)


def random_rows(heads, tokens, element):
    rows = torch.rand(1, heads, tokens, HEAD_DIM, dtype=torch.float32) * 2 - 1
    return rows.to(element)


def grouped(queries, keys, values, causal):
    """torch's own grouping of query heads."""
    return functional.scaled_dot_product_attention(
        queries, keys, values, is_causal=causal, enable_gqa=keys.shape[1] != queries.shape[1]
    )


def prefill(threads, element, tokens, heads, key_heads, repetitions):
    queries = random_rows(heads, tokens, element)
    keys = random_rows(key_heads, tokens, element)
    values = random_rows(key_heads, tokens, element)
    # Key heads written out as often as they are read: some kernels know no groups.
    every = heads // key_heads
    many = [rows.repeat_interleave(every, dim=1).contiguous() for rows in (keys, values)]
    operations = 4 * HEAD_DIM * heads * tokens * (tokens + 1) / 2
    spent = seconds(lambda _: grouped(queries, keys, values, True), repetitions)
    written_out = seconds(lambda _: grouped(queries, *many, True), repetitions)
    name = str(element).replace("torch.", "")
    print(
        f"| {threads} | {tokens} | {heads}+{key_heads} | {name} | {spent * 1e3:.1f} |"
        f" {operations / spent * 1e-9:.1f} | {operations / written_out * 1e-9:.1f} |"
    )


def one_query(threads, element, tokens, repetitions):
    heads, key_heads = 32, 8
    size = torch.empty((), dtype=element).element_size()
    piece = 2 * key_heads * tokens * HEAD_DIM * size
    count = max(2, MEMORY_BYTES // piece)
    pieces = []
    for _ in range(count):
        pieces.append([random_rows(key_heads, tokens, element) for _ in range(2)])
    queries = random_rows(heads, 1, element)

    def attend(index):
        return grouped(queries, *pieces[index % count], False)

    def read(index):
        return [rows.view(torch.int64).sum() for rows in pieces[index % count]]

    spent = seconds(attend, repetitions)
    reading = seconds(read, repetitions)
    name = str(element).replace("torch.", "")
    print(
        f"| {threads} | {tokens} | {name} | {spent * 1e3:.2f} | {piece / spent * 1e-9:.1f} |"
        f" {piece / reading * 1e-9:.1f} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--long", action="store_true", help="8192 tokens and 65536 keys too")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}\n")
    elements = [torch.float32, torch.float16, torch.bfloat16]
    print("| threads | tokens | heads | element | ms | GFLOP/s | GFLOP/s, key heads written out |")
    print("|---|---|---|---|---|---|---|")
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for element in elements:
            prefill(threads, element, 2048, 32, 8, 3)
            if arguments.long:
                prefill(threads, element, 8192, 8, 2, 1)
    print("\nOne query, 32+8 heads\n")
    print("| threads | keys | element | ms | GB/s of keys and values | GB/s of a sum |")
    print("|---|---|---|---|---|---|")
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for element in elements[1:]:
            one_query(threads, element, 8192, 9)
            if arguments.long:
                one_query(threads, element, 65536, 3)


if __name__ == "__main__":
    main()
