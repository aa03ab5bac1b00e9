"""What a rewrite of the AOF before a restart saves: promised, and then measured."""
import shutil
import statistics
from pathlib import Path

import harness
from cases import _redis

ABOUT = "Redis loading a grown AOF as it is and after a rewrite; seconds saved against seconds promised"
OURS = "rewritten first"
PEER = "as it is"
FLOOR = "reading the rewritten file"


def run(options):
    harness.build_release("bench_load")
    with harness.temporary_folder() as root:
        as_it_is, rewritten = Path(root, "as-it-is"), Path(root, "rewritten")
        base, more, memory = _redis.grown(as_it_is)
        shutil.copytree(as_it_is, rewritten)
        with _redis.Redis(rewritten) as redis:
            # The one load that is watched before the promise: rates come from it, as in a fleet's life.
            _, samples, _ = redis.load()
            _, learned = _redis.foretell(0, samples, base, _redis.NOTHING_LEARNED)
            base_rate, more_rate = float(learned[0]), float(learned[1])
            redis.rewrite()
            new_base, _ = redis.sizes()
        promise = harness.client([harness.BUILD / "bench" / "bench_load", "promise", base, more, memory, *learned],
                                 10)

        def load(folder):
            with _redis.Redis(folder) as redis:
                return redis.load()[0]

        def floor():
            began = harness.time.monotonic()
            for file in (rewritten / "appendonlydir").iterdir():
                with open(file, "rb", buffering=0) as stream:
                    while stream.read(1 << 20):
                        pass
            return harness.time.monotonic() - began

        values = harness.rounds({PEER: lambda: load(as_it_is), OURS: lambda: load(rewritten), FLOOR: floor},
                                options.rounds)
    saved = [before - after for before, after in zip(values[PEER], values[OURS])]
    simple = more / more_rate + (base - new_base) / base_rate if base_rate and more_rate else float("nan")
    # As the check says it: fast load against fast load, slow against slow.
    low, high = sorted(max(0.0, (promise[f"now_{end}"] - promise[f"then_{end}"]) / 1e6) for end in ("low", "high"))
    return harness.Result(
        unit="s", ours=OURS, floor=FLOOR, values=values, digits=2,
        note=f"Base {base / 1e6:.0f} MB, incremental {more / 1e6:.0f} MB, rewritten {new_base / 1e6:.0f} MB. Saved "
             f"{statistics.median(saved):.2f} s ({min(saved):.2f} to {max(saved):.2f}). Promised by the check after one "
             f"watched load ({base_rate / 1e6:.0f} and {more_rate / 1e6:.0f} MB/s): {low:.2f} to {high:.2f} s; by "
             f"those two rates alone, with the new base's size: {simple:.2f} s.")
