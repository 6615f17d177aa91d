"""Benchmarks of single components: programs of Google Benchmark, always optimised, and tried in every test run."""

load("@ioring_rules_shell//shell:sh_test.bzl", "sh_test")
load("//bazel:ioring_cc.bzl", "ioring_cc_binary")
load("//bazel:optimized_binary.bzl", "optimized_binary")

def ioring_cc_benchmark(name, deps = [], has_main = False, target_compatible_with = [], **attributes):
    """A benchmark that `bazel run` starts, and `<name>_smoke_test`, which runs each of its cases for a moment.

    Args:
      name: the target's name.
      deps: as for cc_binary; Google Benchmark is added.
      has_main: whether `deps` have a main(); otherwise it is Google Benchmark's.
      target_compatible_with: as for cc_binary.
      **attributes: as for cc_binary.
    """
    ioring_cc_binary(
        name = name + "_program",
        testonly = True,
        target_compatible_with = target_compatible_with,
        deps = deps + ["@google_benchmark//:benchmark" if has_main else "@google_benchmark//:benchmark_main"],
        **attributes
    )
    optimized_binary(
        name = name,
        testonly = True,
        binary = ":%s_program" % name,
        tags = ["optimized"],
        target_compatible_with = target_compatible_with,
        visibility = ["//bench:__subpackages__"],
    )
    sh_test(
        name = name + "_smoke_test",
        size = "small",
        srcs = ["//bazel:benchmark_smoke_test.sh"],
        args = ["$(rootpath :%s)" % name],
        data = [":" + name],
        # Built a second time, and nothing that the library's tests do not show to the sanitizers.
        tags = [
            "no_asan",
            "no_tsan",
            "optimized",
        ],
        # A shell script, which Wine does not run.
        target_compatible_with = select({
            "@platforms//os:windows": ["@platforms//:incompatible"],
            "//conditions:default": target_compatible_with,
        }),
    )
