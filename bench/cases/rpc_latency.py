"""How long one encrypted unary call takes when nothing else is under way."""
import harness
from cases import _calls

ABOUT = "encrypted unary call, 64 B, one in flight: p50"


def run(options):
    values = _calls.measure(options, 1, "p50_us")
    return harness.Result(unit="p50, us", ours=_calls.OURS, floor=_calls.FLOOR, values=values,
                          beside=("raw TCP, batched",), reach="at most 100 us", limit=100,
                          bound="wake-ups across cores between nng's threads and the loop, as far as is known: "
                                "pinned to one core it took 57")
