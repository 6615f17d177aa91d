"""The dependencies for Bazel without modules. With modules, see MODULE.bazel; README.md lists them all."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load(":embedded_repository.bzl", "embedded_repository")
load(":pinned_archive.bzl", "pinned_archive")

def ioring_dependencies():
    """Declares every repository that ioring needs and that the workspace has not declared already.

    It takes no name that a workspace may want for something else: Bazel's built-in rules get names of our own. A
    workspace that has Abseil under another name says so in its declaration of ioring (README.md).
    """
    maybe(
        pinned_archive,
        name = "abseil-cpp",
        debian_path = "pool/main/a/abseil/abseil_20240722.0.orig.tar.gz",
        debian_sha256 = "df6d1f5ef540725f3851201176a60486aab332410788465c9877910bb471c34a",
        debian_strip_prefix = "abseil-20240722.0",
        repo_mapping = {
            "@com_github_google_benchmark": "@google_benchmark",
            "@com_google_googletest": "@googletest",
        },
        sha256 = "f50e5ac311a81382da7fa75b97310e4b9006474f9560ac46f54a9967f07d4ae3",
        strip_prefix = "abseil-cpp-20240722.0",
        system_headers = [
            "absl/container/internal/raw_hash_set.h",
            "absl/flags/internal/flag.h",
            "absl/random/internal/pcg_engine.h",
        ],
        urls = ["https://github.com/abseil/abseil-cpp/releases/download/20240722.0/abseil-cpp-20240722.0.tar.gz"],
    )

    maybe(
        pinned_archive,
        name = "googletest",
        debian_path = "pool/main/g/googletest/googletest_1.16.0.orig.tar.gz",
        debian_sha256 = "2f54382b5d13d6cd0be2afc524f1e510d37f8ba78c2d439c5bea64ef37e30d01",
        debian_strip_prefix = "googletest-1.16.0",
        overlay = {Label("//third_party:googletest/googletest.BUILD"): "BUILD.bazel"},
        sha256 = "78c676fc63881529bf97bf9d45948d905a66833fbfa5318ea2cd7478cb98f399",
        strip_prefix = "googletest-1.16.0",
        urls = ["https://github.com/google/googletest/releases/download/v1.16.0/googletest-1.16.0.tar.gz"],
    )

    maybe(
        pinned_archive,
        name = "google_benchmark",
        debian_path = "pool/main/b/benchmark/benchmark_1.9.1.orig.tar.gz",
        debian_sha256 = "32131c08ee31eeff2c8968d7e874f3cb648034377dfc32a4c377fa8796d84981",
        debian_strip_prefix = "benchmark-1.9.1",
        overlay = {Label("//third_party:google_benchmark/google_benchmark.BUILD"): "BUILD.bazel"},
        sha256 = "32131c08ee31eeff2c8968d7e874f3cb648034377dfc32a4c377fa8796d84981",
        strip_prefix = "benchmark-1.9.1",
        urls = ["https://github.com/google/benchmark/archive/refs/tags/v1.9.1.tar.gz"],
    )

    maybe(
        pinned_archive,
        name = "liburing",
        debian_path = "pool/main/libu/liburing/liburing_2.9.orig.tar.gz",
        debian_sha256 = "57e9b36e4ac1e46b8e0351dfb1694dc59638fc25e384b4ba36d87b800b16db1a",
        debian_strip_prefix = "liburing-2.9",
        overlay = {
            Label("//third_party:liburing/compat.h"): "src/include/liburing/compat.h",
            Label("//third_party:liburing/io_uring_version.h"): "src/include/liburing/io_uring_version.h",
            Label("//third_party:liburing/liburing.BUILD"): "BUILD.bazel",
        },
        sha256 = "897b1153b55543e8b92a5a3eb9b906537a5fedcf8afaf241f8b8787940c79f8d",
        strip_prefix = "liburing-liburing-2.9",
        urls = ["https://github.com/axboe/liburing/archive/refs/tags/liburing-2.9.tar.gz"],
    )

    maybe(
        pinned_archive,
        name = "bazel_skylib",
        debian_path = "pool/main/b/bazel-skylib/bazel-skylib_1.0.3.orig.tar.xz",
        debian_sha256 = "b22f0f38d9a1ac565fce8a43df3d284f6b8e5e8775bda54b5cb687bed46b6ea4",
        debian_strip_prefix = "bazel-skylib-1.0.3",
        sha256 = "1c531376ac7e5a180e0237938a2536de0c54d93f5c278634818e0efc952dd56c",
        strip_prefix = "",
        urls = ["https://github.com/bazelbuild/bazel-skylib/releases/download/1.0.3/bazel-skylib-1.0.3.tar.gz"],
    )

    # Bazel has the C++ and shell rules built in wherever it reads this file. With modules these names are rules_cc's and
    # rules_shell's (MODULE.bazel).
    maybe(
        embedded_repository,
        name = "ioring_rules_cc",
        files = {
            Label("//third_party:empty.BUILD"): "cc/BUILD.bazel",
            Label("//third_party:rules_cc/cc_binary.bzl"): "cc/cc_binary.bzl",
            Label("//third_party:rules_cc/cc_library.bzl"): "cc/cc_library.bzl",
            Label("//third_party:rules_cc/cc_test.bzl"): "cc/cc_test.bzl",
            Label("//third_party:rules_cc/defs.bzl"): "cc/defs.bzl",
        },
    )

    maybe(
        embedded_repository,
        name = "ioring_rules_shell",
        files = {
            Label("//third_party:empty.BUILD"): "shell/BUILD.bazel",
            Label("//third_party:rules_shell/sh_binary.bzl"): "shell/sh_binary.bzl",
            Label("//third_party:rules_shell/sh_library.bzl"): "shell/sh_library.bzl",
            Label("//third_party:rules_shell/sh_test.bzl"): "shell/sh_test.bzl",
        },
    )

    # The platforms that Bazel before 6 brings along are too few for Abseil. It declares them last, if nobody has.
    if not hasattr(native, "module_name"):
        maybe(
            pinned_archive,
            name = "platforms",
            debian_path = "pool/main/b/bazel-platforms/bazel-platforms_0.0.2.orig.tar.xz",
            debian_sha256 = "2e582a0841457e38ba2b263c7021bc57241f6934f86df8a1b5c5ae32169bf490",
            debian_strip_prefix = "platforms-0.0.2",
            sha256 = "48a2d8d343863989c232843e01afc8a986eb8738766bfd8611420a7db8f6f0c3",
            strip_prefix = "",
            urls = ["https://github.com/bazelbuild/platforms/releases/download/0.0.2/platforms-0.0.2.tar.gz"],
        )

def ioring_offline_rules():
    """Declares what Bazel's own files load, without a download; for a build that uses neither Java nor coverage.

    Bazel would fetch these from GitHub, even for a build that needs none of them. They take the names of rules_cc,
    rules_java and remote_coverage_tools, and are no more than Bazel's built-in rules: a workspace whose other
    dependencies load rules_cc or rules_java declares those, and does not call this.
    """
    maybe(
        embedded_repository,
        name = "rules_cc",
        files = {
            Label("//third_party:rules_cc/defs.bzl"): "cc/defs.bzl",
            Label("//third_party:empty.BUILD"): "cc/BUILD.bazel",
        },
    )
    if hasattr(native, "module_name"):
        return
    maybe(
        embedded_repository,
        name = "rules_java",
        files = {
            Label("//third_party:empty.BUILD"): "java/BUILD.bazel",
            Label("//third_party:rules_java/defs.bzl"): "java/defs.bzl",
        },
    )
    maybe(
        embedded_repository,
        name = "remote_coverage_tools",
        files = {Label("//third_party:remote_coverage_tools/remote_coverage_tools.BUILD"): "BUILD.bazel"},
    )
