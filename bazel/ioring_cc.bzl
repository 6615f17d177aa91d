"""The C++ rules of this repository: warnings and layering checks in one place.

They are the rules of rules_cc plus `IORING_COPTS` and `IORING_FEATURES`. Nothing here depends on .bazelrc, which a
consumer does not read, but for the warnings, which are errors: a newer compiler cannot break a consumer, whose output they
do not fill. The language level is the whole build's, as Abseil is another library at another level: .bazelrc says it, or a
consumer's, and without it our headers refuse.
"""

load("@ioring_rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@ioring_rules_cc//cc:cc_library.bzl", "cc_library")
load("@ioring_rules_cc//cc:cc_test.bzl", "cc_test")

# For who works on this repository. In a consumer's build they would be warnings of Abseil's headers, too.
_GCC_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wcast-align",
    "-Wcast-qual",
    "-Wconversion",
    "-Wextra-semi",
    "-Wformat=2",
    "-Wimplicit-fallthrough",
    "-Wmissing-declarations",
    "-Wno-sign-conversion",
    "-Wnon-virtual-dtor",
    "-Wold-style-cast",
    "-Woverloaded-virtual",
    "-Wshadow",
    "-Wundef",
]

# Designated initializers may leave out what has a default.
_GCC_COPTS = ["-Wno-missing-field-initializers"]

# GCC 12 reports it of its own std::string when optimising (GCC bug 105651). Clang does not know it.
_GCC_ONLY_COPTS = ["-Wno-restrict"]

# Bazel before 5 does not say which of the two a compiler is. GCC notes this flag of Clang's beside other warnings.
_GCC_OR_CLANG_COPTS = _GCC_ONLY_COPTS + ["-Wno-unknown-warning-option"]

# What the compiler says of a newer Abseil's deprecations is no error: third_party/deps.bzl's has nothing else to offer.
_GCC_ERRORS = [
    "-Werror",
    "-Wno-error=deprecated-declarations",
]

_MSVC_COPTS = [
    "/Zc:__cplusplus",
    "/Zc:preprocessor",
    "/permissive-",
    "/utf-8",
    # Deprecations: of the C library's functions, in favour of Microsoft's own; and as above.
    "/wd4996",
]

_MSVC_ERRORS = [
    "/W4",
    "/WX",
]

# Windows 10, and of its header only what does not get in the way.
_WINDOWS_DEFINES = [
    "-D_WIN32_WINNT=0x0A00",
    "-DNOMINMAX",
    "-DWIN32_LEAN_AND_MEAN",
]

IORING_COPTS = select({
    "//bazel:clang_cl": _MSVC_COPTS,
    "//bazel:clang_cl_errors": _MSVC_COPTS,
    "//bazel:msvc": _MSVC_COPTS,
    "//bazel:msvc_errors": _MSVC_COPTS,
    "//bazel:warnings_are_errors": _GCC_WARNINGS + _GCC_COPTS,
    "//conditions:default": _GCC_COPTS,
}) + select({
    "//bazel:clang": [],
    "//bazel:clang_cl": [],
    "//bazel:gcc": _GCC_ONLY_COPTS,
    "//bazel:mingw": _GCC_ONLY_COPTS,
    "//bazel:msvc": [],
    "//conditions:default": _GCC_OR_CLANG_COPTS,
}) + select({
    "//bazel:clang_cl_errors": _MSVC_ERRORS,
    "//bazel:msvc_errors": _MSVC_ERRORS,
    "//bazel:warnings_are_errors": _GCC_ERRORS,
    "//conditions:default": [],
}) + select({
    "@platforms//os:windows": _WINDOWS_DEFINES,
    "//conditions:default": [],
})

# Honoured where the toolchain has them: layering_check needs Clang.
IORING_FEATURES = [
    "layering_check",
    "parse_headers",
]

# What of Abseil most libraries use, to be added to their deps: statuses, strings, logging and checks.
ABSEIL = [
    "@abseil-cpp//absl/base:core_headers",
    "@abseil-cpp//absl/log",
    "@abseil-cpp//absl/log:check",
    "@abseil-cpp//absl/status",
    "@abseil-cpp//absl/status:statusor",
    "@abseil-cpp//absl/strings",
    "@abseil-cpp//absl/strings:str_format",
]

# The same of a program with flags.
ABSEIL_FLAGS = ABSEIL + [
    "@abseil-cpp//absl/flags:flag",
    "@abseil-cpp//absl/flags:parse",
    "@abseil-cpp//absl/flags:usage",
]

# What nearly every test uses.
_TEST_DEPS = ABSEIL + [
    "@abseil-cpp//absl/time",
    "@googletest//:gtest",
    "@googletest//:gtest_main",
]

def _with_defaults(attributes):
    return dict(
        attributes,
        copts = IORING_COPTS + attributes.get("copts", []),
        features = IORING_FEATURES + attributes.get("features", []),
    )

def ioring_cc_library(name, **attributes):
    """A cc_library with this repository's options.

    Args:
      name: the target's name.
      **attributes: as for cc_library; `copts` and `features` are added to ours.
    """
    cc_library(name = name, **_with_defaults(attributes))

def ioring_cc_binary(name, **attributes):
    """A cc_binary with this repository's options.

    Args:
      name: the target's name.
      **attributes: as for cc_binary; `copts` and `features` are added to ours.
    """
    cc_binary(name = name, **_with_defaults(attributes))

def ioring_cc_test(name, deps = [], size = "small", programs = {}, **attributes):
    """A cc_test with this repository's options, of GoogleTest, which has its main().

    Args:
      name: the target's name.
      deps: as for cc_test; GoogleTest and Abseil's status, strings, times and checks are added.
      size: as for cc_test.
      programs: from names of environment variables to programs; the test finds a program's path in its variable.
      **attributes: as for cc_test; `copts` and `features` are added to ours.
    """
    cc_test(
        name = name,
        size = size,
        data = programs.values(),
        deps = deps + _TEST_DEPS,
        env = dict(
            attributes.pop("env", {}),
            **{variable: "$(rootpath %s)" % program for variable, program in programs.items()}
        ),
        **_with_defaults(attributes)
    )

def ioring_cc_tests(names, **attributes):
    """Tests that differ in nothing but their source: `x_test` is of x_test.cc.

    Args:
      names: the targets' names.
      **attributes: as for ioring_cc_test.
    """
    for name in names:
        ioring_cc_test(name = name, srcs = [name + ".cc"], **attributes)
