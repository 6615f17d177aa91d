"""How GCC for Linux on arm64 is called: everything linked into one program, as no library for arm64 is beside it."""

load("//bazel:cross_toolchain.bzl", "GCC_ATTRS", "gcc_toolchain_config_info")

def _linux_toolchain_config_impl(ctx):
    return gcc_toolchain_config_info(
        ctx,
        abi_libc_version = "glibc",
        abi_version = "gcc",
        binutils = "/usr/bin/aarch64-linux-gnu-",
        compile_flags = [
            "-fno-omit-frame-pointer",
            "-fstack-protector",
        ],
        compiler = "gcc",
        libraries = [
            "-lstdc++",
            "-lm",
        ],
        link_flags = ["-static"],
        target_cpu = "aarch64",
        target_libc = "glibc",
        target_system_name = "aarch64-linux-gnu",
        toolchain_identifier = "ioring-linux-arm64",
    )

linux_toolchain_config = rule(
    implementation = _linux_toolchain_config_impl,
    doc = "The configuration of a cc_toolchain that calls GCC for arm64 where its package has put it.",
    attrs = GCC_ATTRS,
    provides = [CcToolchainConfigInfo],
)
