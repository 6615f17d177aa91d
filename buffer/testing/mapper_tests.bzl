"""The tests of mirrored memory, over a mapper of choice."""

load("//bazel:ioring_cc.bzl", "ioring_cc_library", "ioring_cc_test")

def mapper_tests(name, mapper, tests, deps = [], **attributes):
    """The classes of this package over `mapper`, for tests only, and the tests of them.

    Args:
      name: of the mapper, which the targets' names end with.
      mapper: a library that implements mapper.h.
      tests: the sources of the tests: x_test.cc becomes x_test_<name>.
      deps: further ones of the tests.
      **attributes: for every target.
    """
    ioring_cc_library(
        name = "mirrored_memory_" + name,
        testonly = True,
        srcs = [
            "circular_positions.cc",
            "memory_region.cc",
            "mirrored_buffer.cc",
            "mirrored_region.cc",
        ],
        hdrs = [
            "circular_positions.h",
            "memory_region.h",
            "mirrored_buffer.h",
            "mirrored_region.h",
        ],
        deps = [
            mapper,
            "//buffer:concat",
            "//buffer:map_result",
            "//process:fork_watch",
            "//process:standard_error",
        ],
        **attributes
    )
    for test in tests:
        ioring_cc_test(
            name = test.replace(".cc", "_" + name),
            srcs = [test],
            deps = [
                "//buffer:map_result",
                "//process/testing:allocation_counter",
                ":mirrored_memory_" + name,
                mapper,
                "@abseil-cpp//absl/base:config",
            ] + deps,
            **attributes
        )
