"""How far off the time still left is said to be, while Redis loads."""
import statistics
import subprocess
from pathlib import Path

import harness
from cases import _redis

ABOUT = "error of the time left while Redis loads a base and a larger incremental file, in percent"
OURS = "muster, loads seen before"
FIRST = "muster, first load"
PEER = "loading_eta_seconds"
OWN_TIME = "muster, by the server's CPU time"
LEAST_LEFT_US = 250_000  # nearer to its end a load's error says more about when one looked


def left(clock, samples, base, rates):
    """muster's answer to each sample: (low, high) in us, or None. clock: which of a sample's fields is the time."""
    text = "".join(f"{sample[clock]} {sample[2]}\n" for sample in samples)
    done = subprocess.run([harness.BUILD / "bench" / "bench_load", "left", str(base), str(samples[0][3]),
                           *map(str, rates)], input=text, capture_output=True, text=True, check=True)
    return [None if line == "-" else tuple(map(int, line.split())) for line in done.stdout.splitlines()]


def run(options):
    harness.build_release("bench_load")
    late = {OURS: [], FIRST: [], PEER: [], OWN_TIME: []}
    worst, inside, spans = [], [], []

    with harness.temporary_folder() as root:
        folder = Path(root, "data")
        base, more, _ = _redis.grown(folder)

        def watch():
            with _redis.Redis(folder) as redis:
                _, samples, end = redis.load()
            return samples, end

        samples, _ = watch()
        learned = _redis.rates(samples, base)
        values = {name: [] for name in (OURS, FIRST, PEER, OWN_TIME)}

        def one_load():
            samples, end = watch()
            answers = {OURS: left(0, samples, base, learned), FIRST: left(0, samples, base, (0, 0)),
                       OWN_TIME: left(1, samples, base, learned),
                       PEER: [(sample[4] * 1_000_000,) * 2 for sample in samples]}
            spans.append(end[0] / 1e6)
            for name, ranges in answers.items():
                clock = 1 if name == OWN_TIME else 0
                errors, late_errors, hits = [], [], 0
                for sample, said in zip(samples, ranges):
                    actual = end[clock] - sample[clock]
                    if said is None or actual < LEAST_LEFT_US:
                        continue
                    error = abs(sum(said) / 2 - actual) / actual * 100
                    errors.append(error)
                    if sample[0] >= end[0] / 4:
                        late_errors.append(error)
                    hits += said[0] <= actual <= said[1]
                values[name].append(statistics.median(errors))
                late[name].append(statistics.median(late_errors))
                if name == OURS:
                    worst.append(sorted(late_errors)[len(late_errors) * 9 // 10])
                    inside.append(100 * hits / len(errors))
            return values[OURS][-1]

        harness.rounds({OURS: one_load}, options.rounds)
    rest = "; ".join(f"{name} {statistics.median(errors):.1f}" for name, errors in late.items())
    return harness.Result(
        unit="median error, %", ours=OURS, floor="", values=values, beside=(FIRST, OWN_TIME),
        reach="at most 5 % over a load, at most 15 % from a quarter of it on",
        note=f"Base {base / 1e6:.0f} MB, incremental {more / 1e6:.0f} MB, loads of {min(spans):.1f} to "
             f"{max(spans):.1f} s, looked at each 20 ms. Median error from a quarter of the load on: {rest}; nine "
             f"of ten of muster's are within {statistics.median(worst):.1f} there. The time really left was within "
             f"the range for {statistics.median(inside):.0f} % of the answers. By the server's CPU time is the same "
             "with the waiting for a processor taken out; caches shared with other work still slow it.")
