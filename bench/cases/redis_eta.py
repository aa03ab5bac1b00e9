"""How far off the time still left is said to be, while Redis loads."""
import statistics
from pathlib import Path

import harness
from cases import _redis

ABOUT = "error of the time left while Redis loads a base and a larger incremental file, in percent"
OURS = "muster, 3 loads seen before"
ONCE = "muster, 1 load seen before"
FIRST = "muster, first load"
PEER = "loading_eta_seconds"
OWN_TIME = "muster, by the server's CPU time"
FLOOR = "this load's own mean rates"  # of the base and of what follows, which nobody knows before it has ended
SEEN_BEFORE = 3
LOOK_EVERY = 0.25  # seconds, as an agent looks at what loads
LEAST_LEFT_US = 250_000  # nearer to its end a load's error says more about when one looked


def judge(ranges, samples, end, clock):
    """Median error over a load, from a quarter of it on, the worst of nine in ten there; answers within the range."""
    errors, late, hits = [], [], 0
    for sample, said in zip(samples, ranges):
        actual = end[clock] - sample[clock]
        if said is None or actual < LEAST_LEFT_US:
            continue
        errors.append(abs(sum(said) / 2 - actual) / actual * 100)
        if sample[0] >= end[0] / 4:
            late.append(errors[-1])
        hits += said[0] <= actual <= said[1]
    return statistics.median(errors), statistics.median(late), sorted(late)[len(late) * 9 // 10], 100 * hits / len(errors)


def hindsight(samples, base, end):
    """What is left at each sample by the mean rate that this very load had in each of its files."""
    points = [(0, 0), *((sample[0], sample[2]) for sample in samples), (end[0], samples[-1][3])]
    before, after = next(pair for pair in zip(points, points[1:]) if pair[1][1] >= base)
    turned = before[0] + (after[0] - before[0]) * (base - before[1]) / (after[1] - before[1])
    more = samples[-1][3] - base
    return [(end[0] - turned) * min(1, (base + more - sample[2]) / more) + turned * max(0, 1 - sample[2] / base)
            for sample in samples]


def run(options):
    harness.build_release("bench_load")
    spans, judged = [], {name: [] for name in (OURS, ONCE, FIRST, OWN_TIME, PEER, FLOOR)}

    with harness.temporary_folder() as root:
        folder = Path(root, "data")
        base, more, _ = _redis.grown(folder)

        def watch():
            with _redis.Redis(folder) as redis:
                _, samples, end = redis.load(LOOK_EVERY)
            return samples, end

        learned = {name: [_redis.NOTHING_LEARNED] for name in (0, 1)}  # by wall time and by CPU time, after each load
        for _ in range(SEEN_BEFORE):
            samples, _ = watch()
            for clock, after in learned.items():
                after.append(_redis.foretell(clock, samples, base, after[-1])[1])

        def one_load():
            samples, end = watch()
            spans.append(end[0] / 1e6)
            for name, clock, before in ((OURS, 0, SEEN_BEFORE), (ONCE, 0, 1), (FIRST, 0, 0), (OWN_TIME, 1, SEEN_BEFORE)):
                ranges, _ = _redis.foretell(clock, samples, base, learned[clock][before])
                judged[name].append(judge(ranges, samples, end, clock))
            judged[FLOOR].append(judge([(left, left) for left in hindsight(samples, base, end)], samples, end, 0))
            judged[PEER].append(judge([(sample[4] * 1_000_000,) * 2 for sample in samples], samples, end, 0))
            return judged[OURS][-1][0]

        harness.rounds({OURS: one_load}, options.rounds)
    values = {name: [one[0] for one in all_of_it] for name, all_of_it in judged.items()}
    late = "; ".join(f"{name} {statistics.median(one[1] for one in all_of_it):.1f}" for name, all_of_it in judged.items())
    return harness.Result(
        unit="median error, %", ours=OURS, floor=FLOOR, values=values, beside=(ONCE, FIRST, OWN_TIME),
        reach="at most 5 % over a load, at most 15 % from a quarter of it on",
        limit=5, bound="how fast Redis loads differs from load to load and within one; the floor, which knows this load's "
                       "own means, shows how much of it is within",
        note=f"Base {base / 1e6:.0f} MB, incremental {more / 1e6:.0f} MB, loads of {min(spans):.1f} to {max(spans):.1f} s, "
             f"looked at each {LOOK_EVERY * 1000:.0f} ms. Seen before: loads of these very files, learned from by the "
             f"controller's own code, as a fleet's second or fourth restart finds them; a first load knows nothing. "
             f"Median error from a quarter of the load on: {late}; nine of ten of muster's are within "
             f"{statistics.median(one[2] for one in judged[OURS]):.1f} there. The time really left was within the range "
             f"for {statistics.median(one[3] for one in judged[OURS]):.0f} % of the answers. By the server's CPU time is "
             "the same with the waiting for a processor taken out; caches shared with other work still slow it. The floor is what could "
             "be said by who knew from the beginning how fast this very load goes in the base and beyond it, on average.")
