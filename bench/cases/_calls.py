"""The contenders of both call benches: one unary call with 64 bytes there and back, over loopback."""
import functools

import harness

OURS = "muster (Noise XK)"
FLOOR = "raw TCP"


def once(program, mode, flight, seconds, figure):
    port = harness.free_port()
    with harness.Server([*program, "serve", port, *mode]):
        figures = harness.client([*program, "call", port, *mode, flight, seconds], seconds * 3 + 20)
    return figures[figure]


def measure(options, flight, figure):
    """Values per contender, with flight calls under way at a time."""
    harness.build_release("bench_rpc_ours")
    harness.build_peers()
    ours, peers = harness.BUILD / "bench", harness.PEERS
    with harness.temporary_folder() as folder:
        harness.certificate(folder)
        programs = {
            OURS: ([ours / "bench_rpc_ours"], []),
            FLOOR: ([peers / "peer_tcp"], ["single"]),
            "raw TCP, batched": ([peers / "peer_tcp"], ["batched"]),
            "nng REQ/REP": ([peers / "peer_nng"], ["plain"]),
            "nng REQ/REP, TLS": ([peers / "peer_nng"], [folder]),
            "gRPC C++": ([peers / "peer_grpc"], ["plain"]),
            "gRPC C++, TLS": ([peers / "peer_grpc"], [folder]),
        }
        contenders = {name: functools.partial(once, program, mode, flight, options.seconds, figure)
                      for name, (program, mode) in programs.items()}
        return harness.rounds(contenders, options.rounds)
