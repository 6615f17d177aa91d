"""Bazel's built-in sh_library under the name that rules_shell gives it."""

sh_library = native.sh_library
