"""Bazel's built-in sh_test under the name that rules_shell gives it."""

sh_test = native.sh_test
