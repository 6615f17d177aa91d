"""The targets of //ring_kqueue, for the systems that have a kqueue and for the fake of //ring_kqueue/testing.

Both are the same sources with the same dependencies. Those over the fake depend on it in addition, and so find its
<sys/event.h>; they are testonly, so that no program can get them by accident.
"""

load("//bazel:ioring_cc.bzl", "ioring_cc_library", "ioring_cc_test")

KQUEUE_SOURCES = [
    "conformance_test.cc",
    "fuzz_test.cc",
    "kevent_change.h",
    "kqueue_poller.cc",
    "kqueue_poller.h",
    "kqueue_poller_test.cc",
    "kqueue_ring.cc",
    "kqueue_ring.h",
    "kqueue_ring_test.cc",
    "kqueue_test_util.cc",
    "kqueue_test_util.h",
    "kqueue_waker.cc",
    "kqueue_waker.h",
]

def _sources(names):
    return ["//ring_kqueue:" + name for name in names]

def kqueue_libraries(target_compatible_with, suffix = "", kqueue = [], testonly = False, visibility = None):
    """The poller, the ring, and what their tests have in common.

    Args:
      target_compatible_with: the systems that it is for.
      suffix: of all names.
      kqueue: where a <sys/event.h> comes from, if not from the system.
      testonly: as for cc_library.
      visibility: of the ring.
    """
    ioring_cc_library(
        name = "ring_kqueue" + suffix,
        testonly = testonly,
        srcs = _sources([
            "kqueue_poller.cc",
            "kqueue_ring.cc",
            "kqueue_waker.cc",
        ]),
        hdrs = _sources([
            "kevent_change.h",
            "kqueue_poller.h",
            "kqueue_ring.h",
            "kqueue_waker.h",
        ]),
        target_compatible_with = target_compatible_with,
        visibility = visibility,
        deps = kqueue + [
            "//ring",
            "//ring_core/posix",
            "//ring_core/readiness",
            "@abseil-cpp//absl/log:check",
            "@abseil-cpp//absl/memory",
            "@abseil-cpp//absl/status",
            "@abseil-cpp//absl/status:statusor",
        ],
    )

    ioring_cc_library(
        name = "kqueue_test_util" + suffix,
        testonly = True,
        srcs = _sources(["kqueue_test_util.cc"]),
        hdrs = _sources(["kqueue_test_util.h"]),
        target_compatible_with = target_compatible_with,
        deps = [
            ":ring_kqueue" + suffix,
            "@abseil-cpp//absl/log:check",
        ],
    )

def kqueue_tests(target_compatible_with, suffix = ""):
    """The tests of the libraries with this suffix.

    Args:
      target_compatible_with: the systems that they are for.
      suffix: of all names.
    """
    ioring_cc_test(
        name = "kqueue_poller_test" + suffix,
        srcs = _sources(["kqueue_poller_test.cc"]),
        target_compatible_with = target_compatible_with,
        deps = [
            ":ring_kqueue" + suffix,
            ":kqueue_test_util" + suffix,
            "//ring_core/readiness",
        ],
    )

    ioring_cc_test(
        name = "kqueue_ring_test" + suffix,
        srcs = _sources(["kqueue_ring_test.cc"]),
        target_compatible_with = target_compatible_with,
        deps = [
            ":kqueue_test_util" + suffix,
            ":ring_kqueue" + suffix,
            "//ring",
            "//ring/conformance:test_ring",
        ],
    )

    ioring_cc_test(
        name = "conformance_test" + suffix,
        size = "medium",
        srcs = _sources(["conformance_test.cc"]),
        shard_count = 4,
        target_compatible_with = target_compatible_with,
        deps = [
            ":ring_kqueue" + suffix,
            "//ring",
            "//ring/conformance",
            "//ring/conformance:masks",
            "//ring_core/posix/testing:posix_conformance",
            "//ring_core/posix/testing:native_pairs",
        ],
    )

    ioring_cc_test(
        name = "fuzz_test" + suffix,
        size = "medium",
        srcs = _sources(["fuzz_test.cc"]),
        target_compatible_with = target_compatible_with,
        deps = [
            ":ring_kqueue" + suffix,
            "//ring",
            "//ring/conformance:masks",
            "//ring/fuzzing",
            "//ring_core/posix/testing:fuzz_sockets",
        ],
    )
