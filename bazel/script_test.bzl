"""Tests by shell scripts: of programs, and of their flags."""

load("@ioring_rules_shell//shell:sh_test.bzl", "sh_test")

_CASES = "//bazel:flag_cases.sh"

def script_test(name, programs, size = "small", data = [], target_compatible_with = ["@platforms//os:linux"], **attributes):
    """`name`.sh, which gets the paths of `programs`.

    Args:
      name: of the test.
      programs: labels of programs and files.
      size: see sh_test.
      data: what else there must be.
      target_compatible_with: Linux unless said otherwise.
      **attributes: of sh_test.
    """
    sh_test(
        name = name,
        size = size,
        srcs = [name + ".sh"],
        args = ["$(rootpath %s)" % program for program in programs],
        data = programs + data,
        target_compatible_with = target_compatible_with,
        **attributes
    )

def flags_test(name, programs, **attributes):
    """`name`.sh, which gets the path of flag_cases.sh, and then those of `programs`. For Linux, which has /dev/full.

    Args:
      name: of the test.
      programs: labels of programs and files.
      **attributes: of script_test.
    """
    script_test(name = name, programs = [_CASES] + programs, **attributes)
