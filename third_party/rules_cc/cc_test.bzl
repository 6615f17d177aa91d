"""Bazel's built-in cc_test under the name that rules_cc gives it."""

cc_test = native.cc_test
