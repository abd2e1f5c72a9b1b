#!/usr/bin/env python3
"""The cases of bench_cuda through torch, on the same card: one table, their time over ours.

    bench_cuda --csv ours.csv && python3 compare_torch.py ours.csv
    python3 compare_torch.py --check        tests the reading and the table; needs neither torch nor a card

Forward rows meet scaled_dot_product_attention (flash, cuDNN, efficient), rows with entropy also
FlexAttention with a captured scale per head and attention written out with its entropy; decoding meets
flash, cuDNN and efficient over a dense cache; gradients of the scales meet autograd through
q * head_scale. Shapes come from the file, so both sides measure the same. Times are medians by events
over several input sets, together larger than the last cache, random data.

Exit code 0: measured, or checked. 1: wrong. 2: not understood. 77: no torch or no CUDA device, nothing
measured.
"""

import argparse
import csv
import io
import statistics
import sys

NO_DEVICE = 77
SECONDS = 5e-3  # of a repetition: the first launch is in it
# Their time over ours of these pairs: (family, statistics, their name) -> (acceptable, target), of
# causal rows with heads of 128 and 8192 keys.
BOUNDS = {
    ("forward", "lse", "flash"): (0.85, 0.97),
    ("forward", "entropy", "written out with entropy"): (8.0, 15.0),
    ("gradient from the softmax", "entropy", "autograd of q * head_scale"): (2.0, 3.0),
}
NUMBERS = ("sequences", "heads", "kv_heads", "head_dim", "queries", "keys")


def read_rows(stream):
    """The rows of bench_cuda that torch can measure too."""
    rows = []
    for row in csv.DictReader(stream):
        for name in NUMBERS:
            row[name] = int(row[name])
        row["seconds"] = float(row["seconds"])
        known = row["family"] in ("forward", "decode", "gradient from the softmax")
        dense = "pages" not in row["case"] and "up to" not in row["case"]
        plain = row["mask"] in ("causal", "full") and "rotates" not in row["case"]
        plain = plain and "statistics only" not in row["case"]
        if known and dense and plain:
            rows.append(row)
    return rows


def bound_of(row, peer):
    """What a row is held to against a peer, or None."""
    if (row["mask"], row["head_dim"], row["keys"]) != ("causal", 128, 8192):
        return None
    if row["element"] != "bf16":
        return None
    return BOUNDS.get((row["family"], row["statistics"], peer))


def verdict(ratio, bound):
    if bound is None:
        return ""
    if ratio >= bound[1]:
        return "target"
    return "acceptable" if ratio >= bound[0] else "missed"


def line(row, peer, theirs):
    """A line of the table; theirs is seconds, or why there are none."""
    ours = row["seconds"] * 1e3
    head = f"| {row['family']}: {row['case']} | {ours:.3f} | {peer} |"
    if isinstance(theirs, str):
        return f"{head} {theirs} | | | |"
    ratio = theirs / row["seconds"]
    bound = bound_of(row, peer)
    asked = "" if bound is None else f"{bound[0]:g} / {bound[1]:g}"
    return f"{head} {theirs * 1e3:.3f} | {ratio:.3f} | {asked} | {verdict(ratio, bound)} |"


def print_table(rows, times):
    """times: list of (peer, seconds or text) for each row."""
    print("| case | ours, ms | theirs | ms | theirs / ours | acceptable / target | met |")
    print("|---|---|---|---|---|---|---|")
    for row, peers in zip(rows, times):
        for peer, theirs in peers:
            print(line(row, peer, theirs), flush=True)


class Torch:
    """torch's side."""

    def __init__(self, repetitions):
        import torch
        import torch.nn.attention as attention
        import torch.nn.functional as functional

        self.torch = torch
        self.attention = attention
        self.functional = functional
        self.repetitions = repetitions
        properties = torch.cuda.get_device_properties(0)
        self.cache_bytes = getattr(properties, "L2_cache_size", 64 << 20)
        self.device = "cuda"

    def seconds(self, call):
        """Median time of call(index), five milliseconds or one run a repetition."""
        torch = self.torch
        events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]

        def timed(first, count):
            events[0].record()
            for index in range(first, first + count):
                call(index)
            events[1].record()
            events[1].synchronize()
            return events[0].elapsed_time(events[1]) * 1e-3

        for index in range(3):
            call(index)
        one = min(timed(3 * i, 1) for i in range(3))
        spent = 0.0
        while spent < 50e-3:
            spent += max(timed(0, 1), 10e-6)
        count = max(1, min(256, int(SECONDS / max(one, 1e-6))))
        samples = [timed(i * count, count) / count for i in range(self.repetitions)]
        return statistics.median(samples)

    def sets(self, row, extra=0):
        """Random (q, k, v, and `extra` more like q) of the row's shape, (batch, head, token, dim)."""
        torch = self.torch
        element = {"bf16": torch.bfloat16, "f16": torch.float16}[row["element"]]

        def rows_of(heads, tokens):
            shape = (row["sequences"], tokens, heads, row["head_dim"])
            values = torch.randn(shape, device=self.device, dtype=torch.float32).to(element)
            return values.transpose(1, 2)

        sets = []
        bytes_of_all = 0
        while len(sets) < 2 or (bytes_of_all < 4 * self.cache_bytes and len(sets) < 64):
            one = [rows_of(row["heads"], row["queries"])]
            one += [rows_of(row["kv_heads"], row["keys"]) for _ in range(2)]
            one += [rows_of(row["heads"], row["queries"]) for _ in range(extra)]
            bytes_of_all += sum(rows.numel() * rows.element_size() for rows in one)
            sets.append(one)
        return sets

    def fused(self, row, q, k, v):
        causal = row["mask"] == "causal" and row["queries"] > 1
        grouped = row["heads"] != row["kv_heads"]
        return self.functional.scaled_dot_product_attention(
            q, k, v, is_causal=causal, enable_gqa=grouped
        )

    def backends(self, row):
        names = self.attention.SDPBackend
        for name, backend in (
            ("flash", names.FLASH_ATTENTION),
            ("cuDNN", names.CUDNN_ATTENTION),
            ("efficient", names.EFFICIENT_ATTENTION),
        ):
            yield name, backend

    def of_backend(self, row, name, backend, sets):
        def call(index):
            self.fused(row, *sets[index % len(sets)])

        def written_out(index):
            self.fused(repeated, *many[index % len(many)])

        with self.attention.sdpa_kernel(backend):
            try:
                return name, self.seconds(call)
            except RuntimeError:
                pass
            # Kernels that know no groups of heads get the keys of each written out.
            every = row["heads"] // row["kv_heads"]
            repeated = dict(row, kv_heads=row["heads"])
            many = [
                [q, *(rows.repeat_interleave(every, dim=1) for rows in (k, v))] for q, k, v in sets
            ]
            try:
                return name + ", key heads written out", self.seconds(written_out)
            except RuntimeError as error:
                return name, "cannot: " + str(error).splitlines()[0].replace("|", "/")[:60]

    def flexible(self, row, sets):
        """FlexAttention with a scale per head that its score function captures."""
        torch = self.torch
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        scales = torch.rand(row["heads"], device=self.device) + 0.5
        # Every row is compiled anew, and beyond a few the compiler would leave it unfused.
        torch._dynamo.reset()
        compiled = torch.compile(flex_attention, dynamic=False)

        def scaled(score, batch, head, query, key):
            return score * scales[head]

        mask = None
        if row["mask"] == "causal":
            mask = create_block_mask(
                lambda batch, head, query, key: query >= key,
                None,
                None,
                row["queries"],
                row["keys"],
                device=self.device,
            )
        grouped = row["heads"] != row["kv_heads"]

        def call(index):
            compiled(
                *sets[index % len(sets)], score_mod=scaled, block_mask=mask, enable_gqa=grouped
            )

        return self.seconds(call)

    def written_out(self, row, sets):
        """Every weight in memory, and the entropy from them."""
        torch = self.torch
        scores_bytes = 4 * row["sequences"] * row["heads"] * row["queries"] * row["keys"]
        if 3 * scores_bytes > 0.6 * torch.cuda.get_device_properties(0).total_memory:
            return "cannot: its weights do not fit"
        every = row["heads"] // row["kv_heads"]
        hidden = None
        if row["mask"] == "causal":
            shape = (row["queries"], row["keys"])
            hidden = torch.ones(shape, dtype=torch.bool, device=self.device).triu(1)

        def call(index):
            q, k, v = sets[index % len(sets)]
            k, v = (rows.repeat_interleave(every, dim=1) for rows in (k, v))
            scores = (q @ k.transpose(2, 3)).float() * row["head_dim"] ** -0.5
            if hidden is not None:
                scores.masked_fill_(hidden, torch.finfo(torch.float32).min)
            weights = torch.softmax(scores, dim=-1)
            del scores
            entropy = torch.special.entr(weights).sum(-1)
            return weights.to(q.dtype) @ v, entropy

        return self.seconds(call)

    def scale_gradient(self, row):
        """d loss / d head_scale by autograd through q * head_scale, whichever kernel torch takes: the
        backward pass alone, as ours begins after the forward pass."""
        torch = self.torch
        sets = self.sets(row, extra=1)
        scale = torch.ones(1, row["heads"], 1, 1, device=self.device, requires_grad=True)
        outs = [self.fused(row, q * scale.to(q.dtype), k, v) for q, k, v, _ in sets]

        def call(index):
            which = index % len(sets)
            torch.autograd.grad(outs[which], scale, sets[which][3], retain_graph=True)

        return self.seconds(call)

    def tried(self, measurement, *arguments):
        torch = self.torch
        try:
            return measurement(*arguments)
        except Exception as error:  # whatever a version of torch says: the other rows go on
            return "cannot: " + (str(error).splitlines() or [""])[0].replace("|", "/")[:60]
        finally:
            torch.cuda.empty_cache()

    def times(self, row):
        """[(peer, seconds or text)]"""
        if row["family"] == "gradient from the softmax":
            return [("autograd of q * head_scale", self.tried(self.scale_gradient, row))]
        sets = self.sets(row)
        found = []
        if row["statistics"] == "lse" or row["family"] == "decode":
            for name, backend in self.backends(row):
                found.append(self.of_backend(row, name, backend, sets))
        if row["family"] == "forward" and row["statistics"] == "entropy":
            # One length: every shape is compiled anew.
            if row["keys"] == 8192:
                flexible = self.tried(self.flexible, row, sets)
                found.append(("FlexAttention, scale per head", flexible))
            found.append(("written out with entropy", self.tried(self.written_out, row, sets)))
        del sets
        self.torch.cuda.empty_cache()
        return found


CANNED = """\
family,case,element,sequences,heads,kv_heads,head_dim,queries,keys,mask,statistics,seconds,low,high,\
rate,unit,peer,ratio,sense,acceptable,target,verdict
ceilings,copy of 1 GiB,,0,0,0,0,0,0,,,0.0005,0.0005,0.0005,4e12,byte/s,,0,,0,0,
forward,bf16 d128 causal 2 x 8192 lse,bf16,2,32,8,128,8192,8192,causal,lse,0.01,0.01,0.01,4e14,flop/s,,0,,0,0,
forward,bf16 d128 causal 2 x 8192 entropy,bf16,2,32,8,128,8192,8192,causal,entropy,0.0102,0.01,0.01,4e14,\
flop/s,lse alone,1.02,at most,1.05,1.02,target
forward,bf16 d128 causal 2 x 8192 entropy statistics only,bf16,2,32,8,128,8192,8192,causal,entropy,0.006,\
0.006,0.006,4e14,flop/s,forward with entropy,0.59,at most,0.75,0.62,target
decode,bf16 d128 group 4 8 x 32768 pages of 64 entropy,bf16,8,32,8,128,1,32768,causal,entropy,0.0003,\
0.0003,0.0003,4e12,byte/s,,0,,0,0,
decode,bf16 d128 group 4 8 x 32768 dense entropy,bf16,8,32,8,128,1,32768,causal,entropy,0.0003,0.0003,\
0.0003,4e12,byte/s,,0,,0,0,
"""


def check():
    """Joins a canned file with canned times."""
    rows = read_rows(io.StringIO(CANNED))
    expected = [
        "bf16 d128 causal 2 x 8192 lse",
        "bf16 d128 causal 2 x 8192 entropy",
        "bf16 d128 group 4 8 x 32768 dense entropy",
    ]
    found = [row["case"] for row in rows]
    if found != expected:
        print("rows:", found)
        return 1
    lines = [
        line(rows[0], "flash", 0.0098),
        line(rows[0], "flash", 0.009),
        line(rows[0], "flash", 0.008),
        line(rows[0], "cuDNN", 0.007),
        line(rows[1], "written out with entropy", 0.1),
        line(rows[2], "flash", "cannot: why"),
    ]
    wanted = [
        "| 9.800 | 0.980 | 0.85 / 0.97 | target |",
        "| 9.000 | 0.900 | 0.85 / 0.97 | acceptable |",
        "| 8.000 | 0.800 | 0.85 / 0.97 | missed |",
        "| 7.000 | 0.700 |  |  |",
        "| 100.000 | 9.804 | 8 / 15 | acceptable |",
        "| cannot: why | | | |",
    ]
    wrong = 0
    for got, end in zip(lines, wanted):
        if not got.endswith(end):
            print(f"{got}\n  does not end with {end}")
            wrong += 1
    print(f"{len(rows)} rows and {len(lines)} lines checked, {wrong} wrong")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("csv", nargs="?", help="what bench_cuda --csv wrote")
    parser.add_argument("--check", action="store_true", help="test this script; needs no card")
    parser.add_argument("--filter", default="", help="cases whose 'family: name' holds this")
    parser.add_argument("--repetitions", type=int, default=21)
    arguments = parser.parse_args()
    if arguments.check:
        return check()
    try:
        import torch
    except ImportError:
        print("torch was not found: nothing measured")
        return NO_DEVICE
    if not torch.cuda.is_available():
        print("no CUDA device: nothing measured")
        return NO_DEVICE
    if arguments.csv is None:
        parser.error("the file of bench_cuda --csv is missing")
    with open(arguments.csv, newline="") as stream:
        rows = read_rows(stream)
    rows = [row for row in rows if arguments.filter in f"{row['family']}: {row['case']}"]
    torch.manual_seed(1)
    print(
        f"torch {torch.__version__}, {torch.cuda.get_device_name(0)}, cuDNN "
        f"{torch.backends.cudnn.version()}; medians of {arguments.repetitions}\n"
    )
    side = Torch(arguments.repetitions)
    print_table(rows, (side.times(row) for row in rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
