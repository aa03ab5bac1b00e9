"""How many encrypted unary calls a second go over one link."""
import harness
from cases import _calls

ABOUT = "encrypted unary calls, 64 B, 64 in flight on one link: calls a second"


def run(options):
    values = _calls.measure(options, 64, "per_second")
    return harness.Result(unit="calls/s", ours=_calls.OURS, floor=_calls.FLOOR, values=values,
                          beside=("raw TCP, batched",), more_is_better=True, digits=0,
                          reach="at least 100,000 calls/s", limit=100_000,
                          note="raw TCP makes each message a write of its own; batched writes what one read "
                               "brought, which is what framing with many calls under way can come near to.")
